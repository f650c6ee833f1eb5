"""The look at a graph: it chooses what a pull chooses, over every recorded graph, and leaves no trace."""

from pathlib import Path
from typing import Any

import pytest

from puller.legacy.schema1 import SignedManifest
from puller.ops.idchain import UNASKED, links_of
from tests.graph.recorded import from_base64
from tests.legacy.golden import cases, named

CASES = cases("idreuse")


def laid_out(case: dict[str, Any], root: Path) -> Path:
    """The graph that a case begins with."""
    files: dict[str, dict[str, str]] = case.get("graph") or {}
    for image_id, held in files.items():
        folder = root / "graph" / image_id
        folder.mkdir(parents=True)
        for name, raw in held.items():
            (folder / name).write_bytes(from_base64(raw))
        if image_id not in (case.get("no_driver") or ()):
            (root / "vfs" / "dir" / image_id).mkdir(parents=True)
    return root


def manifest_of(case: dict[str, Any]) -> SignedManifest:
    history = tuple(map(from_base64, case["history_b64"]))
    return SignedManifest(b"", "app", "1", "amd64", tuple(case["layers"]), history)


def everything(root: Path) -> list[tuple[str, int, bytes]]:
    return [
        (str(path), path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.rglob("*"))
    ]


@pytest.mark.slow  # many small tests: for `make test`
@pytest.mark.parametrize("case", CASES, ids=named)
def test_ids_and_parents_are_those_recorded_and_nothing_is_changed(case: dict[str, Any], tmp_path: Path) -> None:
    root = laid_out(case, tmp_path / "docker")
    before = everything(tmp_path)
    links = links_of(manifest_of(case), root)
    found = [(link.choice.image_id, link.choice.parent or "") for link in links]
    assert found == [(image["id"], image["parent"]) for image in case["images"]]
    assert [f"sha256:{link.candidate.strong_id}" for link in links] == [one["strong_id"] for one in case["images"]]
    assert everything(tmp_path) == before


@pytest.mark.parametrize("case", CASES[:3], ids=named)
def test_without_a_graph_every_image_has_its_strong_id_on_its_parents(case: dict[str, Any]) -> None:
    links = links_of(manifest_of(case))
    assert [link.choice.image_id for link in links] == [link.candidate.strong_id for link in links]
    assert [link.choice.parent for link in links] == [one.choice.image_id for one in links[1:]] + [None]
    assert {link.choice.reason for link in links} == {UNASKED}
