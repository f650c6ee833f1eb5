"""Ways to cut bytes into chunks: whatever is pushed must not care."""

import random
from collections.abc import Callable, Iterator

from puller.stream.sink import Sink

Cut = Callable[[bytes], Iterator[bytes]]


def whole(data: bytes) -> Iterator[bytes]:
    """All at once."""
    if data:
        yield data


def single_bytes(data: bytes) -> Iterator[bytes]:
    """One at a time."""
    return (data[at : at + 1] for at in range(len(data)))


def random_cuts(data: bytes, seed: int = 1) -> Iterator[bytes]:
    """Pieces of many lengths, those around a tar block among them."""
    chance = random.Random(seed)
    at = 0
    while at < len(data):
        step = chance.choice((1, 3, 100, 511, 512, 513, 1024, 5000, 70_000))
        yield data[at : at + step]
        at += step


CUTS: tuple[Cut, ...] = (whole, single_bytes, random_cuts)


def feed(sink: Sink, data: bytes, cut: Cut = whole) -> None:
    """Push all of `data`, then finish."""
    for piece in cut(data):
        sink.write(piece)
    sink.finish()


class Kept:
    """A sink that keeps everything, and how long its longest chunk was."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.longest = 0
        self.finished = 0

    def write(self, chunk: bytes | bytearray | memoryview, /) -> None:
        self.content += chunk
        self.longest = max(self.longest, len(chunk))

    def finish(self) -> None:
        self.finished += 1
