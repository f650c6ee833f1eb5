"""A state of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.mirror.state import State


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def state(folder: Path) -> Iterator[State]:
    with State.open(folder) as opened:
        assert opened.warnings == ()
        yield opened
