"""storedlayers: the blobs of content images as streams: as they are, or uncompressed."""

from functools import partial

from puller.archive.item import Stream
from puller.contracts.content import ContentStore
from puller.errors import ContentMissing, PullerError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.mediatype import compression_of
from puller.ops.pulling.watch import LayerWatch, check_diff_id, stop_when_cancelled
from puller.stream.inflate import Inflate
from puller.stream.layer import MAX_UNPACKED, LayerReader
from puller.stream.sink import Chunk, Sink

PULL = "Run `puller pull` for it first."


async def blob_stream(store: ContentStore, blob: Descriptor) -> Stream:
    """A blob as it is. Raises ContentMissing where it is not here."""
    await require(store, blob)
    assert blob.size is not None
    return Stream(blob.size, blob.digest, partial(_feed, store, blob))


async def layer_stream(store: ContentStore, layer: Descriptor, diff_id: Digest) -> Stream:
    """A layer, uncompressed. Raises ContentMissing where its blob is not here, DiffIDMismatch for another layer."""
    await require(store, layer)
    facts = await layer_facts(store, layer, diff_id)
    assert facts.unpacked_size is not None
    return Stream(facts.unpacked_size, diff_id, partial(_feed_plain, store, layer))


async def layer_facts(store: ContentStore, layer: Descriptor, diff_id: Digest | None = None) -> Facts:
    """Diff ID and size of a layer, as they were proved, or by reading it now; what is found is kept beside the blob.

    Raises DiffIDMismatch where the layer is not `diff_id`, ContentCorrupt for a damaged blob, LayerError.
    """
    facts = await store.facts(layer.digest)
    algorithm = "sha256" if diff_id is None else diff_id.algorithm
    known = facts.verified and facts.unpacked_size is not None
    if not known or facts.diff_id is None or facts.diff_id.algorithm != algorithm:
        reader = LayerReader(promised=compression_of(layer.media_type), algorithm=algorithm, pulse=stop_when_cancelled)
        watch = LayerWatch(reader, expected=diff_id)
        await store.watch(layer, watch)
        facts = Facts(
            watch.facts.diff_id,
            watch.facts.unpacked_size,
            watch.facts.tarsum,
            watch.facts.tarsum_refusal,
            verified=True,
        )
        await store.prove(layer.digest, facts)
    check_diff_id(diff_id, facts)
    return facts


async def require(store: ContentStore, blob: Descriptor) -> None:
    """Raise ContentMissing where a blob is not here."""
    if not await store.exists(blob):
        raise ContentMissing("a blob of the image is not in the store", digest=blob.digest, hint=PULL)


async def _feed(store: ContentStore, blob: Descriptor, sink: Sink) -> None:
    await store.watch(blob, _Unfinished(sink))


async def _feed_plain(store: ContentStore, layer: Descriptor, sink: Sink) -> None:
    promised = compression_of(layer.media_type)
    inflate = Inflate(_Unfinished(sink), promised=promised, limit=MAX_UNPACKED, pulse=stop_when_cancelled)
    await store.watch(layer, Patient(inflate))


class Patient:
    """Keeps what is wrong with a layer until its blob has been found to be what its name says (see `watch`)."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._failure: PullerError | None = None

    def write(self, chunk: Chunk, /) -> None:
        if self._failure is None:
            try:
                self._sink.write(chunk)
            except PullerError as error:
                self._failure = error

    def finish(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._sink.finish()


class _Unfinished:
    """Passes bytes on; whether they were enough is for others to say."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, chunk: Chunk, /) -> None:
        self._sink.write(chunk)

    def finish(self) -> None:
        pass
