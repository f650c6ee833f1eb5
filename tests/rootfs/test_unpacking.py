"""Unpacking in this process: what it does with faults that are not the layer's."""

import os
from pathlib import Path

import pytest

from puller.errors import LimitExceeded, PullerError, StoreUnusable
from puller.rootfs.manner import Manner
from puller.rootfs.openat2 import open_stepwise
from puller.rootfs.powers import Powers
from puller.rootfs.unpacking import Means, unpack
from tests.rootfs.jobs import job, quiet
from tests.rootfs.layering import SMALL, file, layer, open_files

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
