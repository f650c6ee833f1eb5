"""Every recorded story of the original's graph in which nothing is loaded: the same files, names and sentences."""

from pathlib import Path
from typing import Any

import pytest

from puller.ops.graphs import Graph
from tests.graph.plainvfs import PlainVfs
from tests.graph.recorded import graph_over, stories
from tests.graph.replay import Replay, Told, expected

STORIES = [case for case in stories() if "Load" not in case["request"]]


async def not_here(_: Graph, __: list[str]) -> Told:
    """What is exported is told by the tests of archives."""
    return {}


@pytest.mark.parametrize("case", STORIES, ids=[case["name"] for case in STORIES])
async def test_a_story_ends_as_that_of_the_original(case: dict[str, Any], tmp_path: Path) -> None:
    graph = await graph_over(tmp_path / "docker", PlainVfs(tmp_path / "docker"))
    told = await Replay(graph, export=not_here).run(case)
    wanted = expected(case)
    assert {name: told[name] for name in wanted} == wanted
