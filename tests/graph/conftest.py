"""A graph that is not there yet, and the place where an old Docker would have it."""

from pathlib import Path

import pytest

from puller.graph.graph import DiskGraph
from tests.graph.images import graph_at


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "docker"


@pytest.fixture
def graph(root: Path) -> DiskGraph:
    return graph_at(root)
