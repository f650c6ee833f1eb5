"""Small content for store tests: blobs made from a number, images made of blobs, and how to put them into a store."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from puller.contracts.content import ContentStore, Target
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.stream.sink import Chunk, Sink


@dataclass(frozen=True)
class Blob:
    """Content and the descriptor that promises it."""

    content: bytes = field(repr=False)
    descriptor: Descriptor

    @property
    def digest(self) -> Digest:
        return self.descriptor.digest


def blob_of(content: bytes, media_type: str = mediatype.OCTETS, algorithm: str = "sha256") -> Blob:
    return Blob(content, Descriptor(media_type, Digest.of(content, algorithm), len(content)))


def blob(size: int, seed: int = 0, media_type: str = mediatype.OCTETS) -> Blob:
    """`size` bytes that look random and are always the same."""
    return blob_of(hashlib.shake_128(f"blob {seed}".encode()).digest(size), media_type)


@dataclass(frozen=True)
class Image:
    """A manifest, its config and its layers."""

    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]

    @property
    def blobs(self) -> tuple[Blob, ...]:
        return (self.config, *self.layers, self.manifest)

    @property
    def digests(self) -> set[Digest]:
        return {part.digest for part in self.blobs}


def image(*layers: Blob, seed: int = 0) -> Image:
    config = blob_of(json.dumps({"seed": seed}).encode(), mediatype.OCI_CONFIG)
    typed = [Descriptor(mediatype.OCI_LAYER, layer.digest, layer.descriptor.size) for layer in layers]
    document = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "config": config.descriptor.encode(),
        "layers": [layer.encode() for layer in typed],
    }
    return Image(blob_of(json.dumps(document).encode(), mediatype.OCI_MANIFEST), config, layers)


def index(*manifests: Blob) -> Blob:
    entries = [manifest.descriptor.encode() for manifest in manifests]
    document = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": entries}
    return blob_of(json.dumps(document).encode(), mediatype.OCI_INDEX)


async def pour(
    store: Target, wanted: Descriptor, *chunks: Chunk, watchers: Sequence[Sink] = (), then: Exception | None = None
) -> None:
    """Ingest `chunks` as `wanted`; then commit, or raise what cuts it short."""
    async with store.ingest(wanted, *watchers) as ingest:
        assert ingest is not None
        for chunk in chunks:
            await ingest.write(chunk)
        if then is not None:
            raise then
        await ingest.commit()


async def put(store: Target, *blobs: Blob) -> None:
    """Ingest what is missing of each blob in one write."""
    for one in blobs:
        async with store.ingest(one.descriptor) as ingest:
            if ingest is not None:
                await ingest.write(one.content[ingest.offset :])
                await ingest.commit()


async def stored(store: ContentStore) -> list[Digest]:
    return [digest async for digest in store.digests()]


class Seen:
    """A watcher that keeps everything it sees, and may refuse."""

    def __init__(self, *, at_write: Exception | None = None, at_finish: Exception | None = None) -> None:
        self.content = b""
        self.finished = 0
        self._at_write = at_write
        self._at_finish = at_finish

    def write(self, chunk: Chunk, /) -> None:
        if self._at_write is not None:
            raise self._at_write
        self.content += bytes(chunk)

    def finish(self) -> None:
        self.finished += 1
        if self._at_finish is not None:
            raise self._at_finish
