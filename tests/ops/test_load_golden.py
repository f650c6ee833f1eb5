"""Every recorded story in which the original loads an archive: told again as Docker did, and as load does by itself."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from puller.errors import PullerError
from puller.ops.graphs.graph import Graph
from puller.ops.load import load
from puller.ops.loading.news import News, Said
from puller.rootfs.crew import InProcess
from puller.rootfs.graphdriver import driver_at
from puller.rootfs.manner import Manner
from tests.graph.recorded import golden, graph_over, stories
from tests.graph.replay import NOTHING, Replay, Told, expected
from tests.ops.loader import source_of

pytestmark = pytest.mark.slow

STORIES = [case for case in stories() if "Load" in case["request"]]
NAMES = [case["name"] for case in STORIES]

# What load refuses and the original took (THREATS A8, A9, C23, G4), or left half done (G8).
REFUSED = {
    "hand_dirname_differs_from_id",
    "hand_repositories_short_id",
    "hand_upper_repo",
    "hand_repositories_unknown_image",
    "hand_repositories_bad_json",
    "hand_bad_tag_and_scratch",
}
# Where the unpacking was a process of its own, whose words stood around the reason.
PROCESS = ("ApplyLayer exit status 1 stdout:  stderr: archive/tar: ", "ApplyLayer ")


def loading(*, compat: bool) -> Any:
    async def loaded(graph: Graph, name: str) -> Told:
        news: list[News] = []
        error = None
        with source_of(golden(name)) as fd:
            try:
                await load(fd, graph, compat=compat, hear=news.append)
            except PullerError as caught:
                error = caught.what
        out = "".join(f"{one.text}\n" for one in news if isinstance(one, Said) and "already exists" in one.text)
        return {"file": name.partition("/")[2], "error": error, "out": out}

    return loaded


async def none(_: Graph, __: list[str]) -> Told:
    """What is exported is told by the tests of archives."""
    return {}


async def told_again(case: dict[str, Any], tmp_path: Path, *, compat: bool) -> Told:
    root = tmp_path / "docker"
    graph = await graph_over(root, driver_at(root, InProcess(Manner()), durable=False))
    return await Replay(graph, load=loading(compat=compat), export=none).run(case)


def in_our_words(case: dict[str, Any]) -> Told:
    """The recording, its errors without what was around them."""
    wanted = deepcopy(expected(case))
    for step in wanted["load"]:
        if step["error"] is not None:
            for prefix in PROCESS:
                step["error"] = step["error"].removeprefix(prefix)
            step["error"] = step["error"].replace("$TMP/repo/", "").partition(" stdout: ")[0]
    return wanted


@pytest.mark.parametrize("case", STORIES, ids=NAMES)
async def test_compat_ends_as_the_original(case: dict[str, Any], tmp_path: Path) -> None:
    told = await told_again(case, tmp_path, compat=True)
    wanted = in_our_words(case)
    assert {name: told[name] for name in wanted} == wanted


@pytest.mark.parametrize("case", STORIES, ids=NAMES)
async def test_load_ends_as_the_original_where_that_was_safe(case: dict[str, Any], tmp_path: Path) -> None:
    told = await told_again(case, tmp_path, compat=False)
    wanted = in_our_words(case)
    if case["name"] in REFUSED:
        assert all(step["error"] for step in told["load"])
        assert [one["path"] for one in told["graph_tree"] if one["path"] != "_tmp"] == []
        assert told["repositories_file"] == NOTHING
        return
    refused = [step["error"] is not None for step in wanted["load"]]
    assert [step["error"] is not None for step in told["load"]] == refused
    loaded = {name for name in wanted if name != "load"}
    assert {name: told[name] for name in loaded} == {name: wanted[name] for name in loaded}
    assert [step["out"] for step in told["load"]] == [step["out"] for step in wanted["load"]]


def test_every_story_that_is_refused_is_one() -> None:
    assert set(NAMES) >= REFUSED
