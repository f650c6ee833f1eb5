"""The names of a load: all of them are set, or all stay what they were."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from puller.contracts.graph import TagStore
from puller.errors import InvalidArchive, InvalidReference, StoreUnusable
from puller.model.reference import Reference
from puller.ops.graphs.names import find, name_pulled
from puller.ops.load import load
from tests.archive.building import (
    BASE,
    OTHER,
    TOP,
    A,
    B,
    C,
    Part,
    config,
    docker,
    document,
    entries_of,
    folder,
    repositories,
)
from tests.contracts.sample import blob_of, put
from tests.ops.loader import loader, source_of
from tests.ops.two_worlds import OLD, blob_in

pytestmark = pytest.mark.slow  # many small tests: for `make test`

MODERN = docker([TOP], ["new:1"])
MIXED: list[Part] = [
    *folder(A), *folder(B, A, TOP), ("old.json", config([BASE, TOP], id=B)), *MODERN[:-1],
    ("manifest.json", document([
        {"Config": "old.json", "RepoTags": ["old:1", "held:1", "kept:1"], "Layers": []}, *entries_of(MODERN),
    ])),
]  # fmt: skip


class FailsOnce:
    """Names of a disk that fails at the `at`th change of them, and then no more."""

    def __init__(self, tags: TagStore, at: int) -> None:
        self._tags = tags
        self._at = at
        for name in ("repositories", "get", "lookup", "tag", "set_digest", "names_of"):
            setattr(self, name, getattr(tags, name))

    def replace(self, names: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
        self._step()
        return self._tags.replace(names)

    def remove(self, repository: str, ref: str) -> bool:
        self._step()
        return self._tags.remove(repository, ref)

    def _step(self) -> None:
        self._at -= 1
        if self._at == 0:
            raise StoreUnusable("the disk failed")


@pytest.mark.parametrize("at", [1, 2])
async def test_g8_names_that_cannot_all_be_set_are_put_back(tmp_path: Path, at: int) -> None:
    async with loader(tmp_path) as s:
        await s.load([*folder(C, layer=OTHER), repositories({"held": {"1": C}, "new": {"1": C}})])
        await s.load(docker([OTHER], ["kept:1"]))
        before = s.tree()
        graph = replace(s.graph, tags=FailsOnce(s.graph.tags, at))  # type: ignore[arg-type]  # it has all of them
        with source_of(MIXED) as fd, pytest.raises(StoreUnusable):
            await load(fd, graph)
        assert s.tree() == before
        assert (s.ids(), s.unfinished()) == ([C], [])
        await s.load(MIXED)
        assert s.names() == {"old": {"1": B}, "held": {"1": B}, "kept": {"1": B}}
        assert list(await s.store.tags()) == ["docker.io/library/new:1"]
        assert len(s.said()) == 3


async def test_a_name_that_another_tool_has_written_in_two_ways_moves_as_one(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(docker([OTHER], ["amb:a"]))
        index = tmp_path / "store/index.json"
        known = json.loads(index.read_text())
        twin = known["manifests"][0] | {"annotations": {"org.opencontainers.image.ref.name": "amb:a"}}
        index.write_text(json.dumps(known | {"manifests": [*known["manifests"], twin]}))
        await s.load([*folder(C, layer=OTHER), repositories({"amb": {"a": C}})])
        found = await find("amb:a", s.store, s.graph)
        assert (found.image_id, found.descriptor) == (C, None)
        assert await s.store.tags() == {}


async def test_an_archive_cannot_claim_a_digest_that_a_manifest_has_by_name(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        stored = blob_of(OLD.raw, OLD.media_type)
        await put(s.store, *map(blob_in, OLD.layers), stored)
        await s.store.tag(Reference.parse(f"app@{OLD.digest}"), stored.descriptor)
        await s.refused([*folder(C), repositories({"app": {OLD.digest: C}})], InvalidReference)


@pytest.mark.parametrize(
    "archive", [docker([OTHER], ["sha256:1984"]), [*folder(C), repositories({"sha256": {"1984": C}})]]
)
async def test_a8_an_archive_cannot_bring_a_name_that_reads_as_an_id(tmp_path: Path, archive: list[Part]) -> None:
    async with loader(tmp_path) as s:
        await s.refused(archive, InvalidArchive)


# --- what is here already stays what it is ---


async def test_a_pulled_schema_1_name_keeps_its_manifest_when_its_image_is_loaded(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        archive: list[Part] = [*folder(C, layer=OTHER), repositories({"app": {"1": C}})]
        await s.load(archive)
        stored = blob_of(OLD.raw, OLD.media_type)
        await put(s.store, *map(blob_in, OLD.layers), stored)
        await name_pulled(Reference.parse("app:1"), C, stored.descriptor, s.store, s.graph)
        before = s.tree()
        await s.load(archive)
        assert (s.tree(), s.said()) == (before, [])
        assert (await find("app:1", s.store, s.graph)).descriptor == stored.descriptor
