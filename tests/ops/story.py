"""A story: a test registry, a client, a store on disk, and what was told of every pull between them."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from puller.errors import PullerError
from puller.model.event import Event, Warned
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.model.report import BlobReport, PullReport
from puller.ops.graphs.door import GraphDoor
from puller.ops.pull import pull
from puller.ops.pulling.plan import Depth, Wish
from puller.ops.unpacking.shelves import Shelves
from puller.registry.client import RegistryClient
from puller.registry.retry import RetryPolicy
from puller.registry.transport.patience import Patience
from puller.registry.world import World
from puller.store.disk import DiskStore
from puller.stream.layer import MAX_UNPACKED
from testregistry import TestRegistry, images, serve
from testregistry.auth import Auth
from testregistry.documents import OCI_MANIFEST
from testregistry.fault import Fault

BASE = images.layer({"etc/motd": b"hello\n" * 100, "usr/share/words": bytes(range(256)) * 700})
TOP = images.layer({"srv/app/main.py": b"print('app')\n"})
IMAGE = images.image(BASE, TOP)
# Its top layer lies where its registry may not hand it out.
ELSEWHERE = images.image(
    BASE,
    TOP,
    manifest_extra={
        "layers": [
            {"mediaType": BASE.media_type, "digest": BASE.digest, "size": BASE.size},
            {
                "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                "digest": TOP.digest,
                "size": TOP.size,
                "urls": ["https://elsewhere.test/layer"],
            },
        ]
    },
)
OTHER = images.image(images.layer({"other": b"image"}))
# Bytes that gzip cannot shrink: long enough to be cut anywhere and to come in more than one chunk.
LARGE = images.generated_layer(3 << 20, seed=7)

E = TypeVar("E", bound=PullerError)


@dataclass
class Story:
    """What one test plays with. Waits between retries take no time; `naps` holds how long they would have been."""

    registry: TestRegistry
    client: RegistryClient
    store: DiskStore
    events: list[Event] = field(default_factory=list)
    naps: list[float] = field(default_factory=list)

    def reference(self, name: str) -> Reference:
        """`app:1` in this registry."""
        return Reference.parse(self.registry.name(name))

    def add_raw(self, raw: bytes, media_type: str = OCI_MANIFEST) -> str:
        """Serve any bytes as the manifest of app:1, beside all that the honest images stand on."""
        self.registry.add("app", IMAGE)
        self.registry.add("app", OTHER)
        return self.registry.add_manifest("app", raw, media_type, "1")

    async def pull(
        self,
        name: str = "app:1",
        *,
        platforms: Sequence[str] | None = ("linux/amd64",),
        depth: Depth = Depth.FULL,
        max_unpacked: int = MAX_UNPACKED,
        strong: bool = False,
        signed: bool = False,
        verify_disk: bool = False,
        shelves: Shelves | None = None,
        graph: GraphDoor | None = None,
    ) -> PullReport:
        """Pull; `platforms` None means all of them."""
        chosen = None if platforms is None else [Platform.parse(text) for text in platforms]
        reference = self.reference(name)
        source = self.client.repository(reference)
        wish = Wish(chosen, depth, max_unpacked, strong, signed, verify_disk)
        told = self.events.append
        return await pull(reference, source, self.store, wish, shelves=shelves, graph=graph, report=told)

    async def refused(
        self,
        kind: type[E] | tuple[type[E], ...],
        *bad: str,
        name: str = "app:1",
        platforms: Sequence[str] | None = ("linux/amd64",),
        depth: Depth = Depth.FULL,
        max_unpacked: int = MAX_UNPACKED,
        strong: bool = False,
    ) -> E:
        """Pull in vain: the error is of this kind, no name appears or moves, and nothing of `bad` is in the store.

        Of the blob at fault there is no part left either; others may have been stopped in the middle.
        """
        before = await self.tags()
        with pytest.raises(kind) as caught:
            await self.pull(name, platforms=platforms, depth=depth, max_unpacked=max_unpacked, strong=strong)
        assert await self.tags() == before
        assert not set(bad) & await self.blobs()
        assert not {caught.value.digest} & set(bad) & self.parts()
        return caught.value

    async def blobs(self) -> set[str]:
        """Every digest in the store."""
        return {str(digest) async for digest in self.store.digests()}

    async def tags(self) -> dict[str, str]:
        """Name to digest, without the registry's part of the name."""
        held = await self.store.tags()
        return {name.removeprefix(f"{self.registry.host}/"): str(one.digest) for name, one in held.items()}

    def parts(self) -> set[str]:
        """The digests of unfinished blobs of which there is something to resume."""
        found = (self.store.layout.root / "ingest").glob("*/data")
        return {part.parent.name.replace("-", ":", 1) for part in found if part.stat().st_size}

    def warnings(self) -> list[str]:
        """What was done, but should be looked at."""
        return [event.text for event in self.events if isinstance(event, Warned)]


@asynccontextmanager
async def story(
    folder: Path,
    *,
    auth: Auth | None = None,
    faults: Sequence[Fault] = (),
    patience: Patience | None = None,
    retries: RetryPolicy | None = None,
) -> AsyncIterator[Story]:
    """A registry with nothing in it, and an empty store under `folder`."""
    events: list[Event] = []
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    world = World(sleep=nap, random=lambda: 1.0)
    async with serve(auth=auth, faults=faults) as registry:
        store = await DiskStore.open(folder / "store", durable=False)
        client = RegistryClient(world=world, patience=patience, retries=retries, report=events.append)
        async with client:
            yield Story(registry, client, store, events, naps)


def blob_of(report: PullReport, digest: str) -> BlobReport:
    """What a report says of one blob."""
    (blob,) = (blob for blob in report.blobs if blob.digest == digest)
    return blob


def passed(blob: BlobReport) -> set[str]:
    """The names of the checks a blob has passed."""
    return {check.name for check in blob.checks if check.passed}


def document(raw: bytes, **changes: Any) -> bytes:
    """A JSON document with some of its keys changed; those set to None are left out."""
    changed = json.loads(raw) | changes
    return json.dumps({key: value for key, value in changed.items() if value is not None}).encode()


def names_in(folder: Path) -> list[str]:
    """What lies in a folder, in order."""
    return sorted(path.name for path in folder.iterdir())


def files_with(content: bytes, folder: Path) -> list[str]:
    """The names of all files under a folder that hold this."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and content in path.read_bytes())
