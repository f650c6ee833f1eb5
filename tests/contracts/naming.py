"""What every store promises of names: one suite, run on memory and on disk."""

import pytest

from puller.errors import (
    ContentMissing,
    DigestMismatch,
)
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.facts import Facts
from puller.model.reference import Reference
from puller.store.audit import Auditable
from tests.contracts.sample import Blob, blob, blob_of, image, index, put

ALPINE = Reference.parse("alpine:3.20")
NAME = "docker.io/library/alpine:3.20"


class NamingSuite:
    """Inherit, and give `store`."""

    async def test_r2_only_content_that_is_here_can_be_named(self, store: Auditable) -> None:
        with pytest.raises(ContentMissing):
            await store.tag(ALPINE, blob(10).descriptor)
        assert await store.tags() == {}

    async def test_r2_content_of_another_size_cannot_be_named(self, store: Auditable) -> None:
        wanted = blob(10)
        await put(store, wanted)
        with pytest.raises(ContentMissing):
            await store.tag(ALPINE, Descriptor(mediatype.OCI_MANIFEST, wanted.digest, 11))

    async def test_r2_an_image_that_is_not_wholly_here_cannot_be_named(self, store: Auditable) -> None:
        wanted = image(blob(100))
        await put(store, wanted.config, wanted.manifest)
        with pytest.raises(ContentMissing) as caught:
            await store.tag(ALPINE, wanted.manifest.descriptor)
        assert caught.value.digest == str(wanted.layers[0].digest)
        assert "Pull" in caught.value.hint
        assert await store.tags() == {}
        await put(store, *wanted.layers)
        await store.tag(ALPINE, wanted.manifest.descriptor)

    async def test_r2_an_index_may_lack_the_platforms_that_are_recorded_as_absent_and_no_others(
        self, store: Auditable
    ) -> None:
        here, absent = image(seed=1), image(seed=2)
        many = index(here.manifest, absent.manifest)
        await put(store, *here.blobs, many)
        with pytest.raises(ContentMissing):
            await store.tag(ALPINE, many.descriptor)
        await store.prove(many.digest, Facts(absent=(absent.manifest.digest,)))
        await store.tag(ALPINE, many.descriptor)

    async def test_r2_a_layer_of_another_size_than_the_manifest_says_is_not_there(self, store: Auditable) -> None:
        layer = blob(100)
        liar = image(Blob(layer.content, Descriptor(mediatype.OCTETS, layer.digest, 101)))
        await put(store, layer, liar.config, liar.manifest)
        with pytest.raises(ContentMissing):
            await store.tag(ALPINE, liar.manifest.descriptor)

    async def test_a_tag_leaves_no_lease_behind(self, store: Auditable) -> None:
        await put(store, *image().blobs)
        await store.tag(ALPINE, image().manifest.descriptor)
        assert await store.leased() == set()

    async def test_a_tag_is_kept_under_its_full_name_and_moves(self, store: Auditable) -> None:
        old, new = image(seed=1).manifest, image(seed=2).manifest
        await put(store, *image(seed=1).blobs, *image(seed=2).blobs)
        await store.tag(ALPINE, old.descriptor)
        assert await store.tags() == {NAME: old.descriptor}
        await store.tag(ALPINE, new.descriptor)
        assert await store.tags() == {NAME: new.descriptor}
        assert await store.resolve(ALPINE) == new.descriptor

    async def test_a_name_without_tag_means_latest(self, store: Auditable) -> None:
        wanted = image().manifest
        await put(store, *image().blobs)
        await store.tag(Reference.parse("alpine"), wanted.descriptor)
        assert list(await store.tags()) == ["docker.io/library/alpine:latest"]
        assert await store.resolve(Reference.parse("alpine")) == wanted.descriptor

    async def test_one_digest_may_have_many_names(self, store: Auditable) -> None:
        wanted = image().manifest
        await put(store, *image().blobs)
        for text in ("alpine:1", "alpine:2", "127.0.0.1:5000/team/app:1"):
            await store.tag(Reference.parse(text), wanted.descriptor)
        await store.untag(Reference.parse("alpine:1"))
        assert set(await store.tags()) == {"docker.io/library/alpine:2", "127.0.0.1:5000/team/app:1"}

    async def test_a_size_that_was_not_known_is_known_of_a_tag(self, store: Auditable) -> None:
        wanted = image().manifest
        await put(store, *image().blobs)
        await store.tag(ALPINE, Descriptor(mediatype.OCI_MANIFEST, wanted.digest))
        assert (await store.resolve(ALPINE)).size == len(wanted.content)

    async def test_untag_gives_back_what_was_named_and_leaves_the_content(self, store: Auditable) -> None:
        wanted = image().manifest
        await put(store, *image().blobs)
        await store.tag(ALPINE, wanted.descriptor)
        assert await store.untag(ALPINE) == wanted.descriptor
        assert await store.tags() == {}
        assert await store.exists(wanted.descriptor)

    async def test_a_name_that_is_not_there_is_missing(self, store: Auditable) -> None:
        with pytest.raises(ContentMissing):
            await store.resolve(ALPINE)
        with pytest.raises(ContentMissing):
            await store.untag(ALPINE)

    async def test_a_pinned_name_cannot_be_put_on_other_content(self, store: Auditable) -> None:
        wanted = image().manifest
        await put(store, *image().blobs)
        with pytest.raises(DigestMismatch):
            await store.tag(Reference.parse(f"alpine@{blob(1).digest}"), wanted.descriptor)

    async def test_a_pinned_reference_needs_no_tag(self, store: Auditable) -> None:
        one, many = image().manifest, index(image().manifest)
        await put(store, one, many)
        assert await store.resolve(Reference.parse(f"alpine@{one.digest}")) == one.descriptor
        assert await store.resolve(Reference.parse(f"alpine:3.20@{many.digest}")) == many.descriptor

    async def test_a_pinned_reference_to_no_document_is_plain_octets(self, store: Auditable) -> None:
        wanted = blob_of(b'{"architecture":"amd64"}')
        await put(store, wanted)
        assert await store.resolve(Reference.parse(f"alpine@{wanted.digest}")) == wanted.descriptor

    async def test_a_pinned_reference_to_nothing_is_missing(self, store: Auditable) -> None:
        with pytest.raises(ContentMissing):
            await store.resolve(Reference.parse(f"alpine@{blob(1).digest}"))
