"""Party: images in a registry, and clients that want them all at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from puller.contracts.access import Keyring
from puller.model.event import Event, Waiting
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.pace import Pace
from puller.registry.transport.patience import Patience
from puller.registry.world import World
from testregistry import TestRegistry, images

# Time flies here, so that no wait for a byte may be measured by it.
PATIENT = Patience(connect=1e6, first_byte=1e6, stall=1e6, minimum_rate=0, window=1e6)


def fill(registry: TestRegistry, number: int) -> list[str]:
    """So many images, of one small layer each; their full names."""
    names = []
    for n in range(number):
        name = f"app{n}:1"
        registry.add(name, images.image(images.layer({"n": str(n).encode()})))
        names.append(registry.name(name))
    return names


async def pulled(client: RegistryClient, name: str) -> None:
    """What a pull asks for: the tag, the manifest, and every blob that it names."""
    reference = Reference.parse(name)
    source = client.source(reference)
    manifest = await source.resolve(reference)
    async with source.fetch(manifest) as body:
        raw = b"".join([bytes(chunk) async for chunk in body])
    assert raw


async def all_pulled(client: RegistryClient, names: list[str]) -> None:
    await asyncio.gather(*(pulled(client, name) for name in names))


class Guest:
    """A client as a process of its own would have it, and what it has told."""

    client: RegistryClient

    def __init__(self) -> None:
        self.waits: list[Waiting] = []
        self.waiting = asyncio.Event()

    def hear(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self.waits.append(event)
            self.waiting.set()


@asynccontextmanager
async def guests(
    number: int,
    world: World,
    *,
    limits: Path | None = None,
    max_wait: float = 8 * 3600.0,
    request_rate: float | None = None,
    keyring: Callable[[int], Keyring | None] = lambda _: None,
    plain_http: tuple[str, ...] = (),
) -> AsyncIterator[list[Guest]]:
    """So many clients, which share the folder `limits`."""
    async with AsyncExitStack() as stack:
        found = []
        for n in range(number):
            guest = Guest()
            client = RegistryClient(
                keyring=keyring(n),
                plain_http=plain_http,
                report=guest.hear,
                world=world,
                patience=PATIENT,
                pace=Pace(request_rate=request_rate, max_wait=max_wait, quotas=limits),
            )
            guest.client = await stack.enter_async_context(client)
            found.append(guest)
        yield found
