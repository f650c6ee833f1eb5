"""Two registries and what is copied between them, or into directories and stores beside them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Event
from puller.model.reference import Reference
from puller.model.sync import Carried, Manner
from puller.ops.copying.claims import LocalClaims
from puller.ops.copying.image import copy_image
from puller.ops.copying.place import repository_of
from puller.ops.copying.places import Places
from puller.registry.client import RegistryClient
from puller.registry.transport.patience import Patience
from puller.registry.world import World
from puller.store.disk import DiskStore
from testregistry import TestRegistry, images, serve
from testregistry.fault import Fault
from testregistry.manner import Manner as RegistryManner
from tests.ops.story import BASE, IMAGE

ARM = images.image(BASE, platform=("linux", "arm64"))
INDEX = images.index(IMAGE, ARM, annotations={"who": "me"})
# Bytes that gzip cannot shrink: long enough to be cut anywhere and to come in more than one chunk.
LARGE = images.image(images.generated_layer(3 << 20, seed=7))


@dataclass
class Scene:
    """`a` is copied from, `b` to. Waits between retries take no time."""

    a: TestRegistry
    b: TestRegistry
    folder: Path
    client: RegistryClient
    places: Places
    claims: LocalClaims
    limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(3))
    events: list[Event] = field(default_factory=list)

    async def copy(
        self,
        name: str = "app:1",
        to: str | None = None,
        *names: str,
        source: str | None = None,
        replaces: Mapping[str, Digest | None] | None = None,
        pinned: bool = False,
        **manner: Any,
    ) -> Carried:
        """Copy `name` of `a`, or of the place `source`, to the place `to` (`copy` of `b`), under `names` or its tag, or
        by its digest alone if `pinned`.
        """
        repository, _, tag = name.partition(":")
        origin = await self.places.source(source or self.a.name(repository))
        root = await origin.resolve(repository_of(origin.place).with_tag(tag))
        target = await self.places.target(to or self.b.name("copy"))
        return await copy_image(
            origin,
            target,
            root,
            () if pinned else names or (tag,),
            Manner(**manner),
            claims=self.claims,
            limiter=self.limiter,
            report=self.events.append,
            replaces=replaces,
        )

    def again(self) -> None:
        """Another run: nothing is remembered, and nothing was asked so far."""
        self.claims = LocalClaims(self.places)
        self.places.borrow_from(self.claims.lender)
        self.a.journal.clear()
        self.b.journal.clear()

    @property
    def directory(self) -> str:
        """An `oci:` place."""
        return f"oci:{self.folder}/layout"

    @property
    def store(self) -> str:
        """A `store:` place."""
        return f"store:{self.folder}/store#{self.b.name('copy')}"


@asynccontextmanager
async def scene(
    folder: Path,
    *,
    faults: Sequence[Fault] = (),
    there: Sequence[Fault] = (),
    manner: RegistryManner | None = None,
    from_manner: RegistryManner | None = None,
    patience: Patience | None = None,
) -> AsyncIterator[Scene]:
    """Two registries with nothing in them; `faults` are of `a`, `there` of `b`, as is `manner`."""
    events: list[Event] = []

    async def nap(seconds: float) -> None:
        await anyio.lowlevel.checkpoint()

    async def opened(path: str) -> DiskStore:
        return await DiskStore.open(Path(path), durable=False)

    world = World(sleep=nap, random=lambda: 1.0)
    async with (
        serve(faults=faults, manner=from_manner or RegistryManner()) as a,
        serve(faults=there, manner=manner or RegistryManner()) as b,
        RegistryClient(world=world, report=events.append, patience=patience) as client,
        Places(client, stores=opened) as places,
    ):
        claims = LocalClaims(places)
        places.borrow_from(claims.lender)
        yield Scene(a, b, folder, client, places, claims, events=events)


def manifest(registry: TestRegistry, repository: str, reference: str) -> bytes | None:
    """What a registry has under a tag or digest."""
    found = registry.storage.manifest(repository, reference)
    return None if found is None else found[0].raw


def tags(registry: TestRegistry, repository: str = "copy") -> dict[str, str]:
    """Every tag and what it names."""
    found = registry.storage.find(repository)
    return {} if found is None else dict(found.tags)


def blob(registry: TestRegistry, repository: str, digest: str) -> bytes | None:
    """A blob that a registry has."""
    found = registry.storage.blob(repository, digest)
    return None if found is None else b"".join(found.chunks())


def described(made: Any) -> Descriptor:
    """The descriptor of a made image."""
    return Descriptor(made.media_type, Digest.parse(made.digest), len(made.raw))


def reference(text: str) -> Reference:
    """For short."""
    return Reference.parse(text)
