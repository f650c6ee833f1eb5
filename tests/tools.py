"""Programs that tests call: where one is not installed, a test is skipped with the reason."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.tool import MissingTool


@contextmanager
def skipping_without_tools() -> Iterator[None]:
    """Skip the test where the block finds that a program is not there."""
    try:
        yield
    except MissingTool as missing:
        pytest.skip(str(missing))


def skopeo(*words: str) -> str:
    """What skopeo prints; it must be content."""
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    done = subprocess.run(("skopeo", *words), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
