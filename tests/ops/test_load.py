"""load: archives of the old format, what is reused, what is told, interrupts, and loads that meet others."""

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from puller.archive.spool import Bounds
from puller.contracts.graph import NewImage
from puller.contracts.layers import LayerBlob
from puller.errors import ContentCorrupt, InvalidArchive, LayerError, LimitExceeded, StoreBusy
from puller.legacy.v1image import V1Image
from puller.ops.load import load
from puller.ops.loading.news import Landed, News, Progress, Registered
from testregistry import images
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
    folder,
    hex_of,
    layout,
    packed,
    record,
    repositories,
)
from tests.ops.loader import IMAGE, Source, loader, piped, source_of

pytestmark = pytest.mark.slow  # many small tests: for `make test`

OLD = [*folder(B, A, TOP), *folder(A), repositories({"old": {"latest": B, "base": A}})]
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda raw: images.compress(raw, "zstd"),
}


# --- the old format --------------------------------------------------------------------------------------------------


async def test_images_of_the_old_format_keep_their_ids(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        landed = await s.load(OLD)
        assert landed == (
            Landed("docker.io/library/old:base", A, "graph"),
            Landed("docker.io/library/old:latest", B, "graph"),
        )
        assert s.names() == {"old": {"base": A, "latest": B}}
        assert [image.image_id for image in s.graph.images.line(B)] == [B, A]
        assert [b"".join(s.graph.images.layer_tar(image)) for image in (A, B)] == [BASE, TOP]


async def test_after_a_load_there_is_no_checksum(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(OLD)
        assert [s.graph.images.get(image).checksum for image in (A, B)] == [None, None]
        files = {name.rpartition("/")[2] for name in s.tree() if name.startswith("graph/")}
        assert files & {"checksum", "v1Compatibility"} == set()


async def test_images_without_names_are_told_by_the_ids_of_their_heads(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        assert await s.load([*folder(A), *folder(B, A, TOP), *folder(C, A, OTHER)]) == (
            Landed(None, B, "graph"),
            Landed(None, C, "graph"),
        )


async def test_an_image_that_is_here_is_not_read_again(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(folder(A))
        before = s.tree()
        broken: list[Part] = [(f"{A}/json", b"{"), (f"{A}/layer.tar", b"junk")]
        await s.load([*broken, *folder(B, A, TOP), repositories({"r": {"a": A, "b": B}})])
        assert s.news[-2:] == [Landed("docker.io/library/r:a", A, "graph"), Landed("docker.io/library/r:b", B, "graph")]
        assert Registered(A, is_new=False) in s.news
        assert {name: s.tree()[name] for name in before} == before


async def test_a_parent_may_be_here_and_not_in_the_archive(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(folder(A))
        await s.load(folder(B, A, TOP))
        assert s.ids() == [A, B]


async def test_unknown_fields_are_lost_as_docker_lost_them(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(folder(A, unknown={"k": 1}, comment="a<b"))
        found = json.loads(s.graph.images.get(A).config)
        assert (found.get("unknown"), found["comment"]) == (None, "a<b")


@pytest.mark.parametrize("kind", PACKERS)
async def test_layers_of_the_old_format_may_be_compressed(tmp_path: Path, kind: str) -> None:
    async with loader(tmp_path) as s:
        await s.load([*folder(A, layer=PACKERS[kind](BASE))])
        assert b"".join(s.graph.images.layer_tar(A)) == BASE


@pytest.mark.parametrize("kind", PACKERS)
async def test_an_archive_may_be_compressed_once(tmp_path: Path, kind: str) -> None:
    async with loader(tmp_path) as s:
        await s.load(PACKERS[kind](packed(OLD)))
        assert s.ids() == [A, B]
        assert s.unfinished() == []


@pytest.mark.parametrize("outer", [kind for kind in PACKERS if kind != "none"])
@pytest.mark.parametrize("inner", [kind for kind in PACKERS if kind != "none"])
async def test_an_archive_that_is_compressed_twice_is_refused(tmp_path: Path, outer: str, inner: str) -> None:
    async with loader(tmp_path) as s:
        error = await s.refused(PACKERS[outer](PACKERS[inner](packed(OLD))), InvalidArchive)
        assert "twice" in error.what


# --- names -----------------------------------------------------------------------------------------------------------


async def test_a_name_that_moves_is_told_with_what_it_stood_for(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load([*folder(A), repositories({"r": {"latest": A}})])
        await s.load([*folder(B), repositories({"r": {"latest": B}})])
        assert s.said() == [f"The image r:latest already exists, renaming the old one with ID {A[:12]} to empty string"]
        await s.load(docker([BASE], ["r:latest"]))
        assert s.said() == [f"The image r:latest already exists, renaming the old one with ID {B[:12]} to empty string"]
        assert (s.names(), list(await s.store.tags())) == ({}, ["docker.io/library/r:latest"])
        await s.load([*folder(B), repositories({"r": {"latest": B}})])
        old = hex_of(config([BASE]))[:12]
        assert s.said() == [f"The image r:latest already exists, renaming the old one with ID {old} to empty string"]
        assert (s.names(), await s.store.tags()) == ({"r": {"latest": B}}, {})
        await s.load([*folder(B), repositories({"r": {"latest": B}})])
        assert s.said() == []


async def test_a_digest_among_the_names_is_said_to_be_unproved(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load([*folder(A), repositories({"r": {f"sha256:{'9' * 64}": A}})])
        assert s.names() == {"r": {f"sha256:{'9' * 64}": A}}
        assert any("nothing here proves it" in text for text in s.said())


# --- limits, changes, interrupts -------------------------------------------------------------------------------------


async def test_d6_an_archive_of_too_many_bytes_is_refused_while_it_is_unpacked(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        bomb = gzip.compress(packed([("zeros", bytes(8 << 20))]))
        await s.refused(bomb, LimitExceeded, bounds=Bounds(size=4 << 20))
        ratio = gzip.compress(packed([("zeros", bytes(20 << 20))]))
        await s.refused(ratio, LimitExceeded, bounds=Bounds(ratio=100))


async def test_an_archive_that_is_changed_while_it_is_loaded_is_refused(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        before = s.tree()
        with source_of(OLD) as fd:

            def meddle(news: News) -> None:
                if isinstance(news, Registered):
                    os.pwrite(fd, b"meddled", 100)

            with pytest.raises(ContentCorrupt, match="changed while it was read"):
                await load(fd, s.graph, hear=meddle)
        assert (s.tree(), s.ids()) == (before, [])


@pytest.mark.parametrize("archive", [OLD, docker([BASE, TOP]), layout((IMAGE, "app:1"))], ids=["old", "docker", "oci"])
@pytest.mark.parametrize("source", [source_of, piped])
async def test_r4_a_load_that_is_cancelled_anywhere_leaves_nothing(
    tmp_path: Path, archive: list[Part], source: Source
) -> None:
    async with loader(tmp_path) as s:
        before, stop = s.tree(), 0
        while True:
            stop += 1
            with anyio.CancelScope() as scope:
                heard = 0

                def hear(news: News, scope: anyio.CancelScope = scope, stop: int = stop) -> None:
                    nonlocal heard
                    heard += 1
                    if heard == stop and not isinstance(news, Landed):
                        scope.cancel()

                with source(archive) as fd:
                    await load(fd, s.graph, hear=hear)
            if not scope.cancelled_caught:
                break
            assert s.tree() == before
            assert s.unfinished() == []
        assert stop > 3
        assert s.tree() != before


async def test_a_pipe_that_never_ends_does_not_hold_up_a_cancel(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, packed(OLD)[:1000])
        async with loader(tmp_path) as s:
            with anyio.move_on_after(0.5) as scope:
                await load(reading, s.graph)
            assert scope.cancelled_caught
            assert s.unfinished() == []
    finally:
        os.close(reading)
        os.close(writing)


# --- several at once -------------------------------------------------------------------------------------------------


async def test_two_loads_of_one_archive_share_the_work(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        news: list[News] = []
        with source_of(OLD) as one, source_of(OLD) as two:
            async with anyio.create_task_group() as group:
                for fd in (one, two):
                    group.start_soon(partial(load, fd, s.graph, hear=news.append))
        made = [one.image_id for one in news if isinstance(one, Registered) and one.is_new]
        assert sorted(made) == [A, B]
        assert s.ids() == [A, B]


async def test_r12_what_another_load_stands_on_is_not_taken_away_by_one_that_fails(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        bad = [*folder(A), *folder(C, A, b"junk" * 100)]

        met: list[str] = []

        def hear(news: News) -> None:
            if isinstance(news, Registered) and news.image_id == A and not met:
                met.append(A)
                blob = LayerBlob(layer_fd, "none", None)
                image = V1Image.decode(record(B, A))
                s.graph.images.register(NewImage(B, A, image=image), blob, lambda _: None)

        with source_of(bad) as fd, source_of(TOP) as layer_fd:
            with pytest.raises(LayerError):
                await load(fd, s.graph, hear=hear)
        assert s.ids() == [A, B]


async def test_r12_what_another_load_has_named_is_not_taken_away_by_one_that_fails(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        met: list[News] = []

        def hear(news: News) -> None:
            if isinstance(news, Registered) and news.image_id == A:
                met.append(news)
                s.graph.tags.replace({("named", "1"): A})

        with source_of([*folder(A), *folder(C, A, b"junk" * 100)]) as fd:
            with pytest.raises(LayerError):
                await load(fd, s.graph, hear=hear)
        assert (len(met), s.ids(), s.names()) == (1, [A], {"named": {"1": A}})


async def test_r12_images_are_held_while_others_are_loaded_onto_them(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(folder(A))
        refused: list[bool] = []

        def hear(news: News) -> None:
            if isinstance(news, Registered) and news.image_id == A:
                with pytest.raises(StoreBusy):
                    s.graph.images.delete(A)
                refused.append(True)

        with source_of(folder(B, A, TOP)) as fd:
            await load(fd, s.graph, hear=hear)
        assert (refused, s.ids()) == ([True], [A, B])


async def test_progress_is_told(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(gzip.compress(packed(OLD)))
        assert {news.what for news in s.news if isinstance(news, Progress)} >= {"archive", A[:12], B[:12]}
        await s.load(docker([BASE]))
        assert "layers" in {news.what for news in s.news if isinstance(news, Progress)}
