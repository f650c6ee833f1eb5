"""Mirroring: registries of a few dictionaries, who count what they are asked; and a carrier that only notes."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio.lowlevel

from puller.contracts.content import Body
from puller.contracts.images import ImageSource, ImageTarget, TagKeeper
from puller.errors import DigestMismatch, NotFound, PullerError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from puller.model.reference import Reference
from puller.model.report import Origin
from puller.model.sync import Carried, Transfer


@dataclass(frozen=True)
class Image:
    """A manifest and what it stands on, by digest."""

    descriptor: Descriptor
    content: dict[Digest, bytes]


def made(seed: str, *, created: str = "2024-01-01T00:00:00Z", layer: int = 1000) -> Image:
    """An image of one layer that `seed` tells from others."""
    blob = (seed.encode() * layer)[:layer]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": created,
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(blob))]},
        }
    ).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": str(Digest.of(config)), "size": len(config)},
        "layers": [{"mediaType": OCI_LAYER, "digest": str(Digest.of(blob)), "size": len(blob)}],
        "annotations": {"seed": seed},
    }
    raw = json.dumps(document).encode()
    content = {Digest.of(one): one for one in (blob, config, raw)}
    return Image(Descriptor(OCI_MANIFEST, Digest.of(raw), len(raw)), content)


def indexed(**images: Image) -> Image:
    """An index of images for linux/<name>."""
    entries = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": str(image.descriptor.digest),
            "size": image.descriptor.size,
            "platform": {"os": "linux", "architecture": name},
        }
        for name, image in images.items()
    ]
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    content = {digest: blob for image in images.values() for digest, blob in image.content.items()}
    return Image(Descriptor(OCI_INDEX, Digest.of(raw), len(raw)), content | {Digest.of(raw): raw})


class Shelf:
    """One place: its tags and content, what it was asked, and what it fails at."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.names: dict[str, Descriptor] = {}
        self.content: dict[Digest, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.faults: dict[str, PullerError] = {}
        self.waiting = 0
        self.most = 0

    def put(self, image: Image, *names: str) -> None:
        self.content |= image.content
        for name in names:
            self.names[name] = image.descriptor

    def _ask(self, what: str, name: str = "") -> None:
        self.asked[what] += 1
        for key in (f"{what} {name}", what):
            if key in self.faults:
                raise self.faults[key]

    async def resolve(self, reference: Reference) -> Descriptor:
        name = str(reference.digest or reference.tag)
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await anyio.lowlevel.checkpoint()
        self.waiting -= 1
        self._ask("head" if reference.digest is None else "get", name)
        if reference.digest is not None and reference.digest in self.content:
            raw = self.content[reference.digest]
            kind = OCI_INDEX if b'"manifests"' in raw else OCI_MANIFEST
            return Descriptor(kind, reference.digest, len(raw))
        if name not in self.names:
            raise NotFound("no such manifest", reference=reference)
        return self.names[name]

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
        self._ask("get", str(wanted.digest))
        if wanted.digest not in self.content:
            raise NotFound("no such content", digest=wanted.digest)
        yield _Bytes(self.content[wanted.digest])

    async def tags(self) -> AsyncIterator[str]:
        self._ask("list")
        for name in list(self.names):
            yield name

    async def named(self, tag: str) -> Digest | None:
        await anyio.lowlevel.checkpoint()
        self._ask("named", tag)
        return self.names[tag].digest if tag in self.names else None

    async def exists(self, descriptor: Descriptor) -> bool:
        self._ask("exists", str(descriptor.digest))
        return descriptor.digest in self.content

    async def untag(self, tag: str, expected: Digest) -> None:
        self._ask("untag", tag)
        if tag in self.names and self.names[tag].digest != expected:
            raise DigestMismatch("the tag names something else", wanted=expected, got=self.names[tag].digest)
        self.names.pop(tag, None)

    async def holds(self, descriptor: Descriptor) -> bool:
        return descriptor.digest in self.content

    async def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        return ()

    def ingest(self, expected: Descriptor, *watchers: Any) -> Any:
        raise NotImplementedError

    async def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        raise NotImplementedError

    def may_go_on(self, digest: Digest) -> bool:
        return False

    def was_mounted(self, digest: Digest) -> bool:
        return False

    async def put_manifest(self, raw: bytes, descriptor: Descriptor, name: str) -> None:
        self.names[name] = descriptor


class _Bytes:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.origin = Origin("fake.example")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._raw


class Shelves:
    """Places: what was never filled is empty."""

    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}
        self.catalogs: dict[str, list[str]] = {}

    def __getitem__(self, place: str) -> Shelf:
        return self.shelves.setdefault(place, Shelf(place))

    async def source(self, place: str) -> ImageSource:
        return self[place]

    async def target(self, place: str) -> ImageTarget:
        return self[place]

    async def keeper(self, place: str) -> TagKeeper:
        return self[place]

    async def catalog(self, registry: str) -> AsyncIterator[str]:
        if registry not in self.catalogs:
            raise NotFound("no catalog", host=registry)
        for name in self.catalogs[registry]:
            yield name


@dataclass
class Porter:
    """A carrier: what it brings is there at once; `faults` by digest, `makes` what goes in the place of an index."""

    shelves: Shelves
    carried: list[Transfer] = field(default_factory=list)
    faults: dict[str, PullerError] = field(default_factory=dict)
    makes: dict[str, Image] = field(default_factory=dict)
    busy: int = 0
    most: int = 0
    brings: int = 3  # blobs of each image

    async def carry(self, transfer: Transfer) -> Carried:
        self.busy += 1
        self.most = max(self.most, self.busy)
        await anyio.lowlevel.checkpoint()
        self.busy -= 1
        if transfer.digest in self.faults:
            raise self.faults[transfer.digest]
        self.carried.append(transfer)
        source, target = self.shelves[transfer.source], self.shelves[transfer.target]
        target.content |= source.content
        if transfer.tag is not None:
            digest = Digest.parse(transfer.digest)
            target.names[transfer.tag] = Descriptor(transfer.media_type, digest, transfer.size)
        if transfer.digest in self.makes and transfer.manner.index != "sparse":
            image = self.makes[transfer.digest]
            target.put(image, transfer.tag or str(image.descriptor.digest))
            return Carried(str(image.descriptor.digest), fetched=100, sent=100, brought=self.brings)
        return Carried(transfer.digest, fetched=100, sent=100, brought=self.brings)
