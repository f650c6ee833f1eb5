"""A registry with one generated layer and a pace, in a process that shares no interpreter with what it serves.

`python -m bench.paced SIZE [RATE]`: bytes, and bytes a second for each connection. Prints the registry's host, serves
`huge:1`, and ends when its standard input does.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testregistry import faults, images, serve

ROOT = Path(__file__).resolve().parent.parent
NAME = "huge:1"


@contextmanager
def paced(size: int, rate: float | None = None) -> Iterator[str]:
    """Run one for the length of the block; its `host:port`."""
    words = [str(size), *([] if rate is None else [str(rate)])]
    command = [sys.executable, "-m", "bench.paced", *words]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


async def _serve(size: int, rate: float | None) -> None:
    layer = images.generated_layer(size)
    slow = [] if rate is None else [faults.pace(layer.digest, rate=rate, times=None)]
    async with serve(faults=slow) as registry:
        registry.add(NAME, images.image(layer))
        sys.stdout.write(f"{registry.host}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None))
