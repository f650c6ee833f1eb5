"""A repository of a store as a place of images."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from puller.contracts.images import Housekeeper, ImageSource, ImageTarget, TagKeeper
from puller.errors import ContentMissing, ContentUnknown, DigestMismatch, InvalidReference, MediaTypeMismatch
from puller.model.digest import Digest
from puller.model.event import unheard
from puller.model.mediatype import OCI_INDEX, OCTETS
from puller.model.reference import Reference
from puller.model.referrer import tag_of
from puller.ops.copying.reading import read_document
from puller.ops.copying.sending import send_bytes
from puller.ops.copying.stored import StoredImages
from puller.store.memory import MemoryStore
from testregistry import images
from tests.ops.copying.scene import ARM, INDEX, described
from tests.ops.story import IMAGE

REPOSITORY = Reference.parse("host.test/app")
PLACE = "store:#host.test/app"


@dataclass
class Shop:
    """A store in memory, and a repository of it."""

    store: MemoryStore
    place: StoredImages

    async def put(self, made: images.Image | images.Artifact, name: str | None = None) -> None:
        for content in made.content():
            raw = b"".join(content.body.chunks())
            if content.digest != made.digest:
                wanted = type(described(made))(OCTETS, Digest.parse(content.digest), len(raw))
                await send_bytes(raw, self.place, wanted, report=unheard)
        await self.place.put_manifest(made.raw, described(made), name or made.digest)


@asynccontextmanager
async def shop() -> AsyncIterator[Shop]:
    store = MemoryStore()
    async with store.lease() as lease:
        yield Shop(store, StoredImages(store, REPOSITORY, PLACE, lease=lease))


def conforms(place: StoredImages) -> tuple[ImageSource, ImageTarget, TagKeeper, Housekeeper]:
    """For the type checker."""
    return place, place, place, place


async def test_what_is_put_under_a_tag_is_named_resolved_listed_and_read() -> None:
    async with shop() as s:
        await s.put(IMAGE, "1")
        assert str(await s.place.named("1")) == IMAGE.digest
        assert await s.place.resolve(REPOSITORY.with_tag("1")) == described(IMAGE)
        assert await read_document(s.place, described(IMAGE)) == IMAGE.raw
        assert [tag async for tag in s.place.tags()] == ["1"]
        assert list(await s.store.tags()) == ["host.test/app:1"]
        assert conforms(s.place)[0].place == PLACE


async def test_names_of_other_repositories_are_not_its_own() -> None:
    async with shop() as s:
        await s.put(IMAGE, "1")
        other = StoredImages(s.store, Reference.parse("host.test/other"), "store:#host.test/other")
        assert [tag async for tag in other.tags()] == []
        assert await other.named("1") is None
        with pytest.raises(InvalidReference, match="another repository"):
            await other.resolve(REPOSITORY.with_tag("1"))


async def test_a_tag_is_never_put_on_what_is_not_whole() -> None:
    async with shop() as s:
        with pytest.raises(ContentUnknown):
            await s.place.put_manifest(IMAGE.raw, described(IMAGE), "1")
        assert await s.place.named("1") is None


async def test_what_was_left_out_by_choice_is_not_missing() -> None:
    async with shop() as s:
        await s.put(ARM)
        with pytest.raises(ContentUnknown):
            await s.place.put_manifest(INDEX.raw, described(INDEX), "1")
        await s.place.leave_out(described(INDEX), [Digest.parse(IMAGE.digest)])
        await s.place.put_manifest(INDEX.raw, described(INDEX), "1")
        assert str(await s.place.named("1")) == INDEX.digest


async def test_whether_all_of_an_image_is_here_counts_what_was_left_out_as_lacking() -> None:
    async with shop() as s:
        await s.put(IMAGE)
        assert await s.place.has_all(described(IMAGE))
        await s.place.leave_out(described(INDEX), [Digest.parse(ARM.digest)])
        await s.place.put_manifest(INDEX.raw, described(INDEX), "1")
        assert not await s.place.has_all(described(INDEX))
        await s.put(ARM)
        assert await s.place.has_all(described(INDEX))


async def test_what_is_kept_stays_under_its_digest() -> None:
    async with shop() as s:
        await s.put(IMAGE)
        assert list(await s.store.tags()) == []
        await s.place.keep(described(IMAGE))
        assert list(await s.store.tags()) == [f"host.test/app@{IMAGE.digest}"]
        assert [tag async for tag in s.place.tags()] == []


async def test_a_tag_is_taken_away_only_from_what_it_is_meant_to_name() -> None:
    async with shop() as s:
        await s.put(IMAGE, "1")
        with pytest.raises(DigestMismatch):
            await s.place.untag("1", described(ARM).digest)
        assert str(await s.place.named("1")) == IMAGE.digest
        await s.place.untag("1", described(IMAGE).digest)
        await s.place.untag("1", described(IMAGE).digest)
        assert await s.place.named("1") is None
        assert await s.place.holds(described(IMAGE))


async def test_what_refers_to_another_is_listed_once_a_name_is_put() -> None:
    things = [images.artifact(images.blob(text), subject=IMAGE) for text in (b"one", b"two")]
    async with shop() as s:
        for thing in things:
            await s.put(thing)
        await s.put(IMAGE, "1")
        await s.put(things[0], "again")
        listed = await s.place.referrers(described(IMAGE).digest)
        assert [str(entry.digest) for entry in listed] == [thing.digest for thing in things]
        assert [tag async for tag in s.place.tags()] == ["1", "again", tag_of(described(IMAGE).digest)]
        assert await s.place.referrers(described(ARM).digest) == ()


async def test_a_list_of_which_some_was_never_here_takes_more() -> None:
    thing = images.artifact(images.blob(b"one"), subject=IMAGE)
    gone = images.index(ARM)
    async with shop() as s:
        tag = tag_of(described(IMAGE).digest)
        await s.place.leave_out(described(gone), [described(ARM).digest])
        await s.place.put_manifest(gone.raw, described(gone), tag)
        await s.put(thing, "1")
        listed = await s.place.referrers(described(IMAGE).digest)
        assert [str(entry.digest) for entry in listed] == [ARM.digest, thing.digest]


async def test_a_tag_where_the_list_should_be_that_names_no_list_is_refused() -> None:
    async with shop() as s:
        await s.put(IMAGE, tag_of(described(ARM).digest))
        with pytest.raises(MediaTypeMismatch):
            await s.place.referrers(described(ARM).digest)


async def test_what_is_not_here_is_missing() -> None:
    async with shop() as s:
        assert not await s.place.exists(described(IMAGE))
        with pytest.raises(ContentMissing):
            await s.place.resolve(REPOSITORY.with_tag("1"))
        with pytest.raises(ContentMissing):
            await read_document(s.place, described(IMAGE))


async def test_a_list_is_an_index() -> None:
    async with shop() as s:
        await s.put(images.artifact(images.blob(b"one"), subject=IMAGE), "1")
        found = await s.place.resolve(REPOSITORY.with_tag(tag_of(described(IMAGE).digest)))
        assert found.media_type == OCI_INDEX
