"""read_ahead: the file's own bytes, in order, and no thread left behind."""

import os
import threading
from pathlib import Path

import pytest

from puller.errors import LayerError
from puller.ops.ahead import CHUNK, read_ahead
from puller.ops.tarsum import tarsum_of

DATA = bytes(range(251)) * (3 * CHUNK // 251 + 1)


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read ahead"]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of more chunks than there are buffers."""
    path = tmp_path / "large"
    path.write_bytes(DATA)
    return path


def test_the_bytes_of_a_file_come_in_order_and_whole(large: Path) -> None:
    with large.open("rb") as file, read_ahead(file) as chunks:
        assert b"".join(map(bytes, chunks)) == DATA
    assert readers() == []


def test_reading_begins_where_the_file_stands(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"12345")
    with path.open("rb", buffering=0) as file:
        file.read(2)
        with read_ahead(file) as chunks:
            assert b"".join(map(bytes, chunks)) == b"345"


def test_what_is_no_regular_file_is_read_without_a_thread() -> None:
    inlet, outlet = os.pipe()
    os.write(outlet, b"piped")
    os.close(outlet)
    with os.fdopen(inlet, "rb") as file, read_ahead(file) as chunks:
        assert readers() == []
        assert b"".join(map(bytes, chunks)) == b"piped"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_whatever_ends_the_work_ends_the_reader_too(large: Path, error: type[BaseException]) -> None:
    def work() -> None:
        with large.open("rb") as file, read_ahead(file) as chunks:
            next(chunks)
            assert readers() == ["read ahead"]
            raise error

    with pytest.raises(error):
        work()
    assert readers() == []


def test_no_reader_is_left_where_a_sum_is_refused(large: Path) -> None:
    with large.open("rb") as file, pytest.raises(LayerError), read_ahead(file) as chunks:
        tarsum_of(chunks, "tarsum.v1+sha256")
    assert readers() == []


def test_an_error_of_the_disk_reaches_the_one_who_reads(large: Path) -> None:
    # A descriptor that cannot be read, of a regular file: as a disk that fails under it.
    unreadable = os.fdopen(os.open(large, os.O_WRONLY), "wb")
    with unreadable as file, read_ahead(file) as chunks, pytest.raises(OSError, match="Bad file descriptor"):
        next(chunks)
    assert readers() == []
