"""Manifests of schema 1 in a store: what they need is kept, may be labelled, and is never guessed at."""

from pathlib import Path

import pytest

from puller.errors import ContentMissing, DigestMismatch
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.reference import Reference
from puller.store.audit import Auditable, audit
from puller.store.disk import DiskStore
from puller.store.gc import collect, release
from puller.store.memory import MemoryStore
from puller.store.reach import children
from testregistry import images
from testregistry.layers import Layer
from testregistry.schema1 import Schema1
from tests.contracts.sample import Blob, blob_of, put, stored

APP = Reference.parse("registry.example/app:1")
BASE, TOP = images.layer({"etc/motd": b"hello\n"}), images.layer({"srv/app": b"app\n"})
OLD = images.schema1(BASE, TOP)
LABEL = "tarsum.v1+sha256:" + "ab" * 32
LABELLED = images.schema1(BASE, TOP, blobs=(LABEL.upper().replace("TARSUM.V1+SHA256", "tarsum.v1+sha256"), TOP.digest))
LABELS = {LABEL: Digest.parse(BASE.digest)}


def blobs(image: Schema1) -> list[Blob]:
    """The layers under their sha256, the manifest as it was served."""
    return [*(blob_of(content(layer)) for layer in image.layers), blob_of(image.raw, image.media_type)]


def content(layer: Layer) -> bytes:
    return b"".join(layer.body.chunks())


@pytest.fixture(params=["disk", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Auditable:
    return MemoryStore() if request.param == "memory" else await DiskStore.open(tmp_path / "store", durable=False)


async def put_image(store: Auditable, image: Schema1) -> Descriptor:
    parts = blobs(image)
    await put(store, *parts)
    return parts[-1].descriptor


async def test_its_layers_are_kept_and_freed_with_its_name(store: Auditable) -> None:
    root = await put_image(store, OLD)
    await store.tag(APP, root)
    assert (await collect(store)).freed == ()
    assert (await audit(store, [APP])).blobs == 3
    freed = (await release(store, APP)).freed
    assert freed[0] == root.digest  # before what it names
    assert set(freed) == {root.digest, Digest.parse(BASE.digest), Digest.parse(TOP.digest)}


async def test_it_can_only_be_named_with_all_its_layers(store: Auditable) -> None:
    root = await put_image(store, OLD)
    await store.delete(Digest.parse(BASE.digest))
    with pytest.raises(ContentMissing) as caught:
        await store.tag(APP, root)
    assert caught.value.digest == BASE.digest


async def test_layers_that_a_graph_had_may_be_absent(store: Auditable) -> None:
    root = await put_image(store, OLD)
    await store.delete(Digest.parse(BASE.digest))
    await store.prove(root.digest, Facts(discarded=(Digest.parse(BASE.digest),)))
    await store.tag(APP, root)
    assert (await audit(store, [APP])).findings == ()
    assert (await collect(store)).freed == ()


async def test_a_blob_behind_a_label_is_kept(store: Auditable) -> None:
    root = await put_image(store, LABELLED)
    await store.prove(root.digest, Facts(labels=LABELS))
    await store.tag(APP, root)
    assert (await collect(store)).freed == ()
    assert (await audit(store, [APP])).blobs == 3
    assert len((await release(store, APP)).freed) == 3


async def test_a_label_that_was_never_fetched_needs_no_blob(store: Auditable) -> None:
    root = await put_image(store, LABELLED)
    await store.delete(Digest.parse(BASE.digest))
    await store.prove(root.digest, Facts(labels={}))
    await store.tag(APP, root)
    assert (await audit(store, [APP])).findings == ()


async def test_where_no_fact_says_what_a_label_names_nothing_is_freed_and_no_name_is_given(store: Auditable) -> None:
    root = await put_image(store, LABELLED)
    with pytest.raises(ContentMissing):
        await store.tag(APP, root)
    await store.prove(root.digest, Facts(labels=LABELS))
    await store.tag(APP, root)
    if isinstance(store, DiskStore):
        store.layout.fact(root.digest).write_bytes(b"{}")
    else:
        assert isinstance(store, MemoryStore)
        store._facts.clear()
    before = await stored(store)
    with pytest.raises(ContentMissing):
        await collect(store)
    assert await stored(store) == before
    (finding,) = (await audit(store, [APP])).findings
    assert (finding.kind, finding.digest, finding.names) == ("missing", root.digest, (str(APP),))


async def test_what_its_labels_name_is_known_after_its_blob_has_gone_bad(store: Auditable) -> None:
    root = await put_image(store, LABELLED)
    await store.prove(root.digest, Facts(labels=LABELS, verified=True))
    async with store.attempted(root.digest):
        await store.set_aside(root.digest)
    assert await store.facts(root.digest) == Facts(labels=LABELS)


async def test_a_layer_that_repeats_the_one_below_it_needs_no_blob(store: Auditable) -> None:
    history = [
        '{"id":"' + "a" * 64 + '","parent":"' + "b" * 64 + '"}',
        '{"id":"' + "b" * 64 + '"}',
        '{"id":"' + "b" * 64 + '"}',
    ]
    folded = images.schema1(
        BASE, TOP, TOP, blobs=(BASE.digest, str(Digest.of(b"nowhere")), TOP.digest), history=history
    )
    root = await put_image(store, folded)
    needed = await children(store, root)
    assert [one.digest for one in needed] == [Digest.parse(BASE.digest), Digest.parse(TOP.digest)]
    await store.tag(APP, root)


async def test_a_digest_in_a_text_of_its_history_is_no_blob(store: Auditable) -> None:
    history = ['{"id":"' + "b" * 64 + f'","comment":"{Digest.of(b"nowhere")}"' + "}"]
    root = await put_image(store, images.schema1(BASE, history=history))
    await store.tag(APP, root)


async def test_one_that_cannot_be_read_needs_every_digest_that_it_mentions(store: Auditable) -> None:
    broken = blob_of(OLD.raw.replace(b'"protected"', b'"protektet"'), mediatype.SCHEMA1_SIGNED)
    await put(store, *blobs(OLD), broken)
    found = {one.digest for one in await children(store, broken.descriptor)}
    assert {Digest.parse(BASE.digest), Digest.parse(TOP.digest)} <= found


async def test_a_pin_is_the_digest_of_what_was_signed(store: Auditable) -> None:
    root = await put_image(store, OLD)
    pinned = Reference.parse(f"registry.example/app@{OLD.digest}")
    with pytest.raises(DigestMismatch):
        await store.tag(Reference.parse(f"registry.example/app@{Digest.of(b'another')}"), root)
    await store.tag(pinned, root)
    assert await store.resolve(pinned) == root
    with pytest.raises(ContentMissing):
        await store.resolve(Reference.parse(f"registry.example/other@{OLD.digest}"))
    assert await store.untag(pinned) == root


@pytest.mark.parametrize("signed", [True, False])
async def test_one_without_a_name_is_known_for_what_it_is(store: Auditable, *, signed: bool) -> None:
    root = await put_image(store, images.schema1(BASE, signed=signed))
    found = await store.resolve(Reference.parse(f"registry.example/app@{root.digest}"))
    assert found.media_type == (mediatype.SCHEMA1_SIGNED if signed else mediatype.SCHEMA1)
