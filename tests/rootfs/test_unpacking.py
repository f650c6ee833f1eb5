"""Unpacking: which bytes it reads, and in this process what it does with faults that are not the layer's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from puller.errors import DiffIDMismatch, LimitExceeded, PullerError, StoreUnusable, TruncatedArchive
from puller.model.digest import Digest
from puller.rootfs.crew import Crew, InProcess
from puller.rootfs.job import Job, Unpacker
from puller.rootfs.manner import Manner
from puller.rootfs.openat2 import open_stepwise
from puller.rootfs.powers import Powers
from puller.rootfs.unpacking import Means, unpack
from tests.rootfs.jobs import job, quiet
from tests.rootfs.layering import SMALL, file, layer, open_files, words

MANNER = Manner(limits=SMALL)


class Failing:
    """An Opener that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __call__(self, root: int, path: bytes, flags: int = os.O_PATH, /) -> int:
        raise self._error


@pytest.mark.parametrize(("error", "kind"), [(MemoryError(), LimitExceeded), (OSError(5, "bad disk"), StoreUnusable)])
def test_what_fails_below_is_a_typed_error(error: Exception, kind: type[PullerError], scratch: Path) -> None:
    with job(scratch, layer(file("f"))) as found, pytest.raises(kind):
        unpack(found, MANNER, Means(Powers(), Failing(error)), quiet)


def test_what_the_pulse_raises_goes_through_as_it_is(scratch: Path) -> None:
    class Enough(OSError):
        pass

    def pulse(read: int) -> None:
        raise Enough

    before = open_files()
    with job(scratch, layer(file("f"))) as found, pytest.raises(Enough):
        unpack(found, MANNER, Means(Powers(), open_stepwise), pulse)
    assert open_files() == before


def test_a_blob_that_cannot_be_read_is_an_error_of_this_machine(scratch: Path) -> None:
    with job(scratch, b"") as found:
        os.dup2(found.root, found.blob.fd)  # a directory has no bytes
        with pytest.raises(StoreUnusable):
            unpack(found, MANNER, Means(Powers(), open_stepwise), quiet)


@contextmanager
def windowed(base: Path, archive: bytes, size: int | None) -> Iterator[Job]:
    """A job on an archive that lies within a file, between what is no archive."""
    rubbish = b"rubbish" * 99
    behind = rubbish if size is not None else b""
    with job(base, rubbish + archive + behind, diff_id=Digest.of(archive)) as found:
        yield replace(found, blob=replace(found.blob, start=len(rubbish), size=size))


@pytest.fixture(params=["in_process", "crew"])
def unpacker(request: pytest.FixtureRequest) -> Iterator[Unpacker]:
    if request.param == "in_process":
        yield InProcess(MANNER)
        return
    with Crew(MANNER) as crew:
        yield crew


@pytest.mark.parametrize("to_the_end", [True, False])
def test_a_layer_in_the_middle_of_a_file_is_unpacked_in_its_place(
    to_the_end: bool, unpacker: Unpacker, scratch: Path
) -> None:
    archive = layer(file("f", "1" * 70_000))
    heard: list[int] = []
    with windowed(scratch, archive, None if to_the_end else len(archive)) as found:
        outcome = unpacker.unpack(found, heard.append)
    assert outcome.unpacked_size == len(archive)
    assert words(scratch) == {"f": repr("1" * 70_000)}
    assert max(heard, default=0) <= len(archive)


def test_a_window_that_leaves_out_a_byte_is_another_layer(unpacker: Unpacker, scratch: Path) -> None:
    archive = layer(file("f")) + b"behind the end mark"
    with windowed(scratch, archive, len(archive) - 1) as found, pytest.raises(DiffIDMismatch):
        unpacker.unpack(found, quiet)


def test_a_window_beyond_the_end_of_its_file_is_refused(unpacker: Unpacker, scratch: Path) -> None:
    with job(scratch, layer(file("f"))) as found:
        longer = replace(found, blob=replace(found.blob, size=1 << 40))
        with pytest.raises(TruncatedArchive, match="ends within"):
            unpacker.unpack(longer, quiet)
