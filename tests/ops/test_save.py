"""Saving: the archives of the original member by member, and those of today, again and again the same."""

from pathlib import Path
from typing import Any

import pytest

from puller.ops.graphs import Graph
from puller.ops.save import save
from tests.graph.plainvfs import PlainVfs
from tests.graph.recorded import golden, graph_over, stories
from tests.graph.replay import Replay, Told, cannot

EXPORTS = [case for case in stories() if "Export" in case["request"]]


class Exporter:
    """Saves as Docker 1.9 did, and keeps the archive."""

    def __init__(self) -> None:
        self.archive = bytearray()

    async def __call__(self, graph: Graph, names: list[str]) -> Told:
        await save(names, graph.store, graph, self.archive.extend, old_only=True)
        return {"export_error": None}


@pytest.mark.parametrize("case", EXPORTS, ids=[case["name"] for case in EXPORTS])
async def test_an_archive_for_old_readers_is_byte_for_byte_the_original_s(case: dict[str, Any], tmp_path: Path) -> None:
    root, exporter = tmp_path / "docker", Exporter()
    told = await Replay(await graph_over(root, PlainVfs(root)), cannot, exporter).run(case)
    assert told["export_error"] == case["export_error"]
    assert bytes(exporter.archive) == golden(f"graph/{case['export_file']}")
