"""What a run took away comes back, in whatever place it was; what cannot is said, and what others did since stays."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from puller.mirror.config import Config, Mirror, Place, Prune
from puller.mirror.known import Tombstone
from puller.mirror.state import State
from puller.model.platform import Platform
from puller.model.sync import SyncReport
from puller.ops.copying.claims import LocalClaims
from puller.ops.copying.local import LocalCarrier
from puller.ops.sync import Run, sync
from puller.ops.undo import Undone, undo
from puller.registry.untagging import marker
from testregistry import images
from testregistry.storage import Manifest
from tests.ops.copying.scene import ARM, INDEX, Scene, scene, tags
from tests.ops.story import IMAGE

OLD = images.image(images.layer({"etc/old": b"old\n" * 500}))
NEW = images.image(images.layer({"etc/new": b"new\n" * 500}))
THEIRS = images.image(images.layer({"etc/theirs": b"theirs\n" * 500}))
KINDS: tuple[Literal["registry", "oci", "store"], ...] = ("registry", "oci", "store")


@dataclass
class Tale:
    """Runs that mirror `app` of registry `a` to one place, over one state."""

    scene: Scene
    state: State
    kind: Literal["registry", "oci", "store"] = "registry"
    now: float = 1_800_000_000.0
    ran: int = 0
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        source = self.scene.a.name("app")
        names = {
            "registry": self.scene.b.name("copy"),
            "oci": f"oci:{self.scene.folder}/out",
            "store": f"store:{self.scene.folder}/store#{source}",
        }
        return names[self.kind]

    def mirror(self, *, prune: bool = True, **more: Any) -> Mirror:
        names = {
            "registry": self.place,
            "oci": f"{self.scene.folder}/out",
            "store": f"{self.scene.folder}/store",
        }
        rule = Prune(keep=1, share=None) if prune else None
        source = Place("registry", self.scene.a.name("app"))
        return Mirror(source, Place(self.kind, names[self.kind]), prune=rule, line=3, **self.more, **more)

    async def sync(self, **more: Any) -> SyncReport:
        self.scene.again()
        self.ran += 1
        self.now += 60
        carrier = LocalCarrier(self.scene.places, claims=self.scene.claims)
        run = Run(f"r{self.ran}", "c.yml", lambda: self.now)
        report = await sync(
            Config((self.mirror(**more),)), run, places=self.scene.places, carrier=carrier, state=self.state
        )
        assert report.error is None
        return report

    async def undo(self, run: str, *kinds: str) -> dict[str, Undone]:
        self.scene.again()
        done = await undo(
            [one for one in self.state.tombstones(run) if one.kind in (kinds or ("pruned", "overwritten"))],
            places=self.scene.places,
            state=self.state,
            claims=LocalClaims(self.scene.places),
            limiter=self.scene.limiter,
        )
        return {one.name: one for one in done}

    async def there(self) -> dict[str, str]:
        keeper = await self.scene.places.keeper(self.place)
        names = [tag async for tag in keeper.tags()]
        return {name: str(await keeper.named(name)) for name in names}

    def gone(self, *names: str) -> None:
        """Tags vanish at the source."""
        for name in names:
            self.scene.a.storage.untag("app", name)

    def collected(self, *made: images.Image) -> None:
        """The registry that is mirrored to frees all that is of these alone."""
        for one in made:
            self.scene.b.storage.drop_manifest("copy", one.digest)
            for content in one.content():
                if content.digest != one.digest:
                    self.scene.b.storage.drop_blob("copy", content.digest)


@asynccontextmanager
async def telling(folder: Path, kind: Any = "registry", **more: Any) -> AsyncIterator[Tale]:
    """Three tags, mirrored once in run r1."""
    async with scene(folder) as made:
        made.a.add("app:old", OLD)
        made.a.add("app:new", NEW)
        made.a.add("app:multi", INDEX)
        with State.open(folder / "state") as state:
            tale = Tale(made, state, kind, more=more)
            report = await tale.sync()
            assert report.is_well
            yield tale


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["old", "multi"])
async def test_what_was_pruned_comes_back_under_its_digest(tmp_path: Path, kind: str, name: str) -> None:
    async with telling(tmp_path, kind) as tale:
        before = await tale.there()
        tale.gone(name)
        assert (await tale.sync()).counts["pruned"] == 1
        assert name not in await tale.there()
        undone = await tale.undo("r2")
        assert undone[name].outcome == "back", undone
        assert await tale.there() == before


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_back_is_not_pruned_by_the_next_run(tmp_path: Path, kind: str) -> None:
    async with telling(tmp_path, kind) as tale:
        tale.gone("old")
        await tale.sync()
        await tale.undo("r2")
        report = await tale.sync()
        assert "old" not in {item.tag for item in report.items}
        assert "old" in await tale.there()


async def test_what_is_back_and_selected_again_is_a_syncs_again(tmp_path: Path) -> None:
    async with telling(tmp_path) as tale:
        tale.gone("old")
        await tale.sync()
        await tale.undo("r2")
        tale.scene.a.add("app:old", OLD)
        assert (await tale.sync()).counts == {"unchanged": 3}
        tale.gone("old")
        assert (await tale.sync()).counts["pruned"] == 1


async def test_undo_is_done_once(tmp_path: Path) -> None:
    async with telling(tmp_path) as tale:
        tale.gone("old")
        await tale.sync()
        await tale.undo("r2")
        assert await tale.undo("r2") == {}
        assert tale.state.undoable() == []


async def test_undo_asks_nothing_of_the_source_where_all_is_still_there(tmp_path: Path) -> None:
    async with telling(tmp_path) as tale:
        tale.gone("old", "multi")
        await tale.sync()
        undone = await tale.undo("r2")
        assert [one.outcome for one in undone.values()] == ["back", "back"]
        assert len(tale.scene.a.journal) == 0
        assert sum(one.fetched for one in undone.values()) == 0


async def test_r1_an_undo_that_was_cut_off_after_the_tag_was_put_is_finished_by_the_next(tmp_path: Path) -> None:
    async with telling(tmp_path) as tale:
        tale.gone("old")
        await tale.sync()
        tale.scene.b.storage.tag("copy", "old", OLD.digest)
        assert (await tale.undo("r2"))["old"].outcome == "there"
        assert tale.state.tombstones("r2") == []


@pytest.mark.parametrize("goes_on_with", ["undo", "sync"])
async def test_r1_a_tag_that_was_about_to_go_when_a_run_was_killed_goes_or_comes_back(
    tmp_path: Path, goes_on_with: str
) -> None:
    """Of registries that delete digests only: what stood in for the tag is told from what others have put there."""
    async with telling(tmp_path) as tale:
        tale.gone("old")
        known = tale.state.known(tale.place, "old")
        assert known is not None
        await tale.sync()
        tale.state.remember(known)
        mark, raw = marker("old")
        tale.scene.b.storage.add_manifest("copy", Manifest(str(mark.digest), mark.media_type, raw))
        tale.scene.b.storage.tag("copy", "old", str(mark.digest))
        if goes_on_with == "undo":
            assert (await tale.undo("r2"))["old"].outcome == "back"
            assert (await tale.there())["old"] == OLD.digest
        else:
            assert (await tale.sync()).counts["pruned"] == 1
            assert "old" not in await tale.there()
            assert [one.name for one in tale.state.tombstones("r2")] == ["old"]


async def test_what_the_registry_has_freed_meanwhile_is_brought_again_from_its_source(tmp_path: Path) -> None:
    async with telling(tmp_path) as tale:
        tale.gone("old")
        await tale.sync()
        tale.collected(OLD)
        undone = await tale.undo("r2")
        assert undone["old"].outcome == "back", undone
        assert undone["old"].fetched > 0
        assert (await tale.there())["old"] == OLD.digest


async def test_what_is_nowhere_any_more_is_lost_and_all_else_comes_back(tmp_path: Path) -> None:
    async with telling(tmp_path) as tale:
        tale.gone("old", "multi")
        await tale.sync()
        tale.collected(OLD)
        lost = OLD.layers[0].digest
        tale.scene.a.storage.drop_blob("app", lost)
        undone = await tale.undo("r2")
        assert undone["multi"].outcome == "back"
        assert undone["old"].outcome == "lost"
        assert lost in undone["old"].why
        assert "old" not in await tale.there()
        assert [one.name for one in tale.state.tombstones("r2")] == ["old"]


async def test_of_a_tag_on_missing_content_there_is_none_even_where_the_registry_would_take_it(tmp_path: Path) -> None:
    async with telling(tmp_path) as tale:
        tale.gone("old")
        await tale.sync()
        [tombstone] = tale.state.tombstones("r2")
        nowhere = Tombstone("r9", tale.place, "odd", OLD.digest, tombstone.media_type, tombstone.raw, 5.0, "pruned")
        tale.state.bury(nowhere)
        tale.collected(OLD)
        undone = await tale.undo("r9")
        assert undone["odd"].outcome == "lost"
        assert "odd" not in tags(tale.scene.b)


async def test_a_tag_that_names_something_else_by_now_is_not_touched(tmp_path: Path) -> None:
    async with telling(tmp_path) as tale:
        tale.gone("old")
        await tale.sync()
        theirs = tale.scene.b.add("copy:old", THEIRS)
        undone = await tale.undo("r2")
        assert undone["old"].outcome == "moved"
        assert theirs in undone["old"].why
        assert (await tale.there())["old"] == theirs
        assert len(tale.state.tombstones("r2")) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_moved_names_again_what_it_named_until_its_source_moves_on(tmp_path: Path, kind: str) -> None:
    async with telling(tmp_path, kind) as tale:
        tale.scene.a.add("app:old", THEIRS)
        await tale.sync()
        assert (await tale.there())["old"] == THEIRS.digest
        assert await tale.undo("r2", "pruned") == {}
        undone = await tale.undo("r2", "overwritten")
        assert undone["old"].outcome == "back", undone
        assert (await tale.there())["old"] == OLD.digest
        await tale.sync()
        assert (await tale.there())["old"] == OLD.digest
        tale.scene.a.add("app:old", IMAGE)
        await tale.sync()
        assert (await tale.there())["old"] == IMAGE.digest


async def test_of_two_runs_that_moved_a_tag_the_later_one_is_undone_first(tmp_path: Path) -> None:
    async with telling(tmp_path) as tale:
        for made in (THEIRS, IMAGE):
            tale.scene.a.add("app:old", made)
            await tale.sync()
        undone = await tale.undo("r2")
        assert undone["old"].outcome == "moved"
        assert "run r3 moved it again" in undone["old"].why
        assert (await tale.undo("r3"))["old"].outcome == "back"
        assert (await tale.there())["old"] == THEIRS.digest


async def test_what_others_had_put_there_comes_back_though_nobody_knows_where_it_came_from(tmp_path: Path) -> None:
    async with telling(tmp_path) as tale:
        tale.scene.b.add("copy:theirs", THEIRS)
        tale.scene.a.add("app:theirs", NEW)
        assert (await tale.sync()).counts["changed"] == 1
        [tombstone] = tale.state.tombstones("r2")
        assert (tombstone.kind, tombstone.source) == ("overwritten", "")
        assert (await tale.undo("r2"))["theirs"].outcome == "back"
        assert (await tale.there())["theirs"] == THEIRS.digest


@pytest.mark.parametrize(
    ("kind", "index"),
    # A sparse index is refused by the registry of the tests, as by docker-registry.
    [("oci", "sparse"), ("store", "sparse"), *((kind, index) for kind in KINDS for index in ("rewritten", "single"))],
)
async def test_an_index_of_some_platforms_comes_back_as_it_was(tmp_path: Path, kind: str, index: Any) -> None:
    async with telling(tmp_path, kind, platforms=(Platform.parse("linux/arm64"),), index=index) as tale:
        before = await tale.there()
        tale.gone("multi")
        await tale.sync()
        if kind == "registry":
            tale.collected(ARM)
        undone = await tale.undo("r2")
        assert undone["multi"].outcome == "back", undone
        assert await tale.there() == before
