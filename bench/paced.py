"""A registry with one generated layer and a pace, in a process that shares no interpreter with what it serves.

`python -m bench.paced SIZE [RATE]`: bytes, and bytes a second for each connection. Prints the registry's host, serves
`huge:1`, and answers every line on its standard input with the bytes of the layer it has sent; it ends with its input.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testregistry import faults, images, serve

ROOT = Path(__file__).resolve().parent.parent
NAME = "huge:1"


@dataclass(frozen=True, slots=True)
class Paced:
    """One that runs. `host` is `host:port`, `name` the full reference of its image."""

    host: str
    process: "subprocess.Popen[str]"

    @property
    def name(self) -> str:
        return f"{self.host}/{NAME}"

    def sent(self) -> int:
        """Bytes of the layer that were handed to the kernel so far."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def paced(size: int, rate: float | None = None) -> Iterator[Paced]:
    """Run one for the length of the block."""
    words = [str(size), *([] if rate is None else [str(rate)])]
    command = [sys.executable, "-m", "bench.paced", *words]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Paced(process.stdout.readline().strip(), process)
        finally:
            process.stdin.close()


async def _serve(size: int, rate: float | None) -> None:
    layer = images.generated_layer(size)
    slow = [] if rate is None else [faults.pace(layer.digest, rate=rate, times=None)]
    async with serve(faults=slow) as registry:
        registry.add(NAME, images.image(layer))
        _say(registry.host)
        while await asyncio.to_thread(sys.stdin.readline):
            _say(str(registry.journal.bytes_sent(layer.digest)))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None))
