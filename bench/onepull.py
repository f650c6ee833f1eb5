"""One pull by the library, as a program: `python -m bench.onepull REFERENCE STORE ranges|stream FULL|DIGEST_ONLY`.

The command line has no word for one stream, so both ways are measured by this: all else is the same.
"""

import asyncio
import sys
from pathlib import Path

from puller import Depth, DiskStore, Reference, RegistryClient, Wish, pull
from puller.cli.registries import CONNECTIONS
from puller.registry.download.width import RANGES
from puller.registry.pace import Pace


async def _pull(name: str, store: str, way: str, depth: str) -> None:
    reference = Reference.parse(name)
    wish = Wish(None, Depth[depth])
    ranges = RANGES if way == "ranges" else None
    async with RegistryClient(ranges=ranges, pace=Pace(concurrency=CONNECTIONS)) as client:
        report = await pull(reference, client.source(reference), await DiskStore.open(Path(store)), wish)
    print(max(blob.origin.connections for blob in report.blobs if blob.origin is not None))


if __name__ == "__main__":
    asyncio.run(_pull(*sys.argv[1:]))
