"""Every recorded story of the original's graph in which nothing is loaded: the same files, names and sentences."""

from pathlib import Path
from typing import Any

import pytest

from puller.contracts.graph import GraphDriver
from puller.ops.graphs.graph import Graph
from puller.rootfs.crew import InProcess
from puller.rootfs.graphdriver import driver_at
from puller.rootfs.manner import Manner
from tests.graph.plainvfs import PlainVfs
from tests.graph.recorded import graph_over, stories
from tests.graph.replay import Replay, Told, expected

STORIES = [case for case in stories() if "Load" not in case["request"]]


async def not_here(_: Graph, __: list[str]) -> Told:
    """What is exported is told by the tests of archives."""
    return {}


def plain(root: Path) -> GraphDriver:
    return PlainVfs(root)


def real(root: Path) -> GraphDriver:
    return driver_at(root, InProcess(Manner()), durable=False)


@pytest.mark.parametrize("driver", [plain, real])
@pytest.mark.parametrize("case", STORIES, ids=[case["name"] for case in STORIES])
async def test_a_story_ends_as_that_of_the_original(case: dict[str, Any], driver: Any, tmp_path: Path) -> None:
    root = tmp_path / "docker"
    told = await Replay(await graph_over(root, driver(root)), export=not_here).run(case)
    wanted = expected(case)
    assert {name: told[name] for name in wanted} == wanted
