"""Streams as files that can be read at any offset: in place where that will do, else without a name, within bounds."""

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from puller.archive.spool import Bounds, FileSink, nameless, spooled
from puller.errors import ContentCorrupt, InvalidArchive, InvalidCompression, LimitExceeded, NoSpace, StoreUnusable
from puller.stream.sink import Digester
from testregistry import images
from tests.archive.building import packed
from tests.ops.loader import Source, piped, source_of

RAW = packed([("a", b"hello" * 10_000)])
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda raw: images.compress(raw, "zstd"),
}


def whole(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def test_a_file_is_used_where_it_is(tmp_path: Path) -> None:
    with source_of(RAW) as source, spooled(source, tmp_path / "absent") as file:
        assert file.fd == source


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("source", [source_of, piped])
def test_compressed_streams_are_spooled_without_a_name(tmp_path: Path, kind: str, source: Source) -> None:
    with source(PACKERS[kind](RAW)) as fd, spooled(fd, tmp_path) as file:
        assert whole(file.fd) == RAW
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [RAW, b"", b"x", b"\x1f"])
def test_a_pipe_is_spooled(tmp_path: Path, content: bytes) -> None:
    with piped(content) as fd, spooled(fd, tmp_path) as file:
        assert whole(file.fd) == content


def test_the_rest_of_a_file_is_spooled(tmp_path: Path) -> None:
    with source_of(b"skipped" + RAW) as fd:
        os.lseek(fd, 7, os.SEEK_SET)
        with spooled(fd, tmp_path) as file:
            assert whole(file.fd) == RAW


@pytest.mark.parametrize("kind", PACKERS)
def test_a_second_level_is_refused(tmp_path: Path, kind: str) -> None:
    with source_of(PACKERS[kind](gzip.compress(RAW))) as fd, pytest.raises(InvalidArchive, match="twice"):
        with spooled(fd, tmp_path):
            pass


@pytest.mark.parametrize("kind", PACKERS)
def test_a_stream_that_is_cut_is_refused(tmp_path: Path, kind: str) -> None:
    with source_of(PACKERS[kind](RAW)[:-9]) as fd, pytest.raises(InvalidCompression):
        with spooled(fd, tmp_path):
            pass


@pytest.mark.parametrize("source", [source_of, piped])
@pytest.mark.parametrize("kind", PACKERS)
def test_the_watcher_sees_what_came(tmp_path: Path, kind: str, source: Source) -> None:
    for content in (RAW, PACKERS[kind](RAW)):
        with source(content) as fd, spooled(fd, tmp_path, watch=(seen := Digester())):
            assert seen.size == len(content)


@pytest.mark.parametrize("kind", PACKERS)
def test_d6_bombs_meet_the_bounds(tmp_path: Path, kind: str) -> None:
    bomb = PACKERS[kind](bytes(32 << 20))
    for bounds in (Bounds(size=1 << 20), Bounds(ratio=30)):
        with source_of(bomb) as fd, pytest.raises(LimitExceeded):
            with spooled(fd, tmp_path, bounds=bounds):
                pass
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_would_fill_is_spared(tmp_path: Path) -> None:
    with piped(RAW) as fd, pytest.raises(NoSpace):
        with spooled(fd, tmp_path, bounds=Bounds(reserve=1 << 60)):
            pass


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    with source_of(RAW) as fd, spooled(fd, tmp_path) as file:
        file.check_unchanged()
        os.pwrite(fd, b"x", 5)
        with pytest.raises(ContentCorrupt):
            file.check_unchanged()


def test_the_pulse_ends_a_pipe_that_says_nothing(tmp_path: Path) -> None:
    class StopNow(Exception):
        pass

    def stop() -> None:
        raise StopNow

    reading, writing = os.pipe()
    try:
        with pytest.raises(StopNow), spooled(reading, tmp_path, pulse=stop):
            pass
    finally:
        os.close(reading)
        os.close(writing)


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[int] = []
    with piped(RAW) as fd, spooled(fd, tmp_path, told=told.append):
        assert told[-1] == len(RAW)


def test_a_folder_that_is_not_there_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable), nameless(tmp_path / "absent"):
        pass


def test_a_sink_keeps_its_bounds(tmp_path: Path) -> None:
    with nameless(tmp_path) as fd:
        sink = FileSink(fd, Bounds(size=10))
        sink.write(b"1234567890")
        with pytest.raises(LimitExceeded):
            sink.write(b"1")
        assert whole(fd) == b"1234567890"
