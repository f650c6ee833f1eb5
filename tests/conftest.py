"""What every room's tests may use: only plain objects, so that a test opens its own scopes."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def shared_dir() -> Path:
    """The folder of recorded vectors and fixtures beside the checkout; skips the test where it is not there."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no recorded vectors beside this checkout (../shared)")
    return folder


@pytest.fixture
def strace() -> None:
    """Skips where system calls cannot be traced."""
    from tests.tracing import missing

    if reason := missing():
        pytest.skip(reason)
