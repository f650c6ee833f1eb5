"""A process that uses a store, to be watched, hindered and killed: `python -m tests.store.child ROOT VERB …`.

It tells what it does, a line at a time.
"""

import random
import sys
from pathlib import Path

import anyio

from puller.errors import ContentMissing
from puller.model.reference import Reference
from puller.store.disk import DiskStore
from puller.store.gc import collect, release
from tests.contracts.sample import Image, blob, image, put

PIECE = 64 * 1024
IMAGES = 5


def tell(*words: object) -> None:
    print(*words, flush=True)


def image_of(number: int) -> Image:
    """Images that share layers with their neighbours."""
    return image(blob(90_000, 100 + number), blob(50_000, 100 + (number + 1) % IMAGES), seed=number)


async def write(store: DiskStore, size: int, seed: int) -> None:
    """Ingest one blob in pieces, and name it."""
    wanted = blob(size, seed)
    async with store.ingest(wanted.descriptor) as ingest:
        if ingest is None:
            tell("present")
        else:
            tell("from", ingest.offset)
            while ingest.offset < size:
                await ingest.write(wanted.content[ingest.offset : ingest.offset + PIECE])
                tell("wrote", ingest.offset)
            await ingest.commit()
            tell("committed")
    await store.tag(Reference.parse(f"app:{seed}"), wanted.descriptor)
    tell("tagged")


async def churn(store: DiskStore, seed: int) -> None:
    """Pull, remove and collect by chance for ever; whatever it names must be whole while it is leased."""
    chance = random.Random(seed)
    while True:
        number = chance.randrange(IMAGES)
        reference = Reference.parse(f"app:{number}")
        match chance.randrange(4):
            case 0:
                try:
                    await release(store, reference)
                except ContentMissing:
                    continue
            case 1:
                await collect(store)
            case _:
                await pull(store, reference, image_of(number))
        tell("done")


async def pull(store: DiskStore, reference: Reference, wanted: Image) -> None:
    async with store.lease() as lease:
        await lease.hold(sorted(wanted.digests))
        await put(store, *wanted.blobs)
        await store.tag(reference, wanted.manifest.descriptor)
        for part in wanted.blobs:
            await store.watch(part.descriptor)


async def main(*words: str) -> None:
    root, verb, *numbers = words
    store = await DiskStore.open(Path(root), reserve=0)
    match verb:
        case "write":
            await write(store, *map(int, numbers))
        case "churn":
            await churn(store, *map(int, numbers))


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
