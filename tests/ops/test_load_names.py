"""The names of a load: all of them are set, or all stay what they were."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from puller.contracts.graph import TagStore
from puller.errors import StoreUnusable
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
from tests.ops.loader import loader, source_of

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
