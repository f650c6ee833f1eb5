"""What the tests of this room share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.rootfs.openat2 import Opener
from tests.rootfs.gauntlet import OPENERS

MEMORY = Path("/dev/shm")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that other users can reach (pytest's own are closed to them), in memory where there is such a place."""
    in_memory = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    folder = Path(tempfile.mkdtemp(dir=MEMORY if in_memory else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=sorted(OPENERS))
def opener(request: pytest.FixtureRequest) -> Opener:
    """Both ways to open a directory, one after the other."""
    found = OPENERS[request.param]()
    if found is None:
        pytest.skip("this kernel has no openat2")
    return found
