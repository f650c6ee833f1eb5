"""Pieces: a blob, a client that fetches it in pieces as soon as it may, and what a registry was asked for."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from puller.registry.download.width import RANGES, RangePolicy
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from puller.registry.transport.patience import Patience
from testregistry import Journal
from tests.registry.scene import Time, content, described, opened

PIECE = 100_000
# Pieces as soon as a server has answered, whatever they bring.
EAGER = replace(
    RANGES,
    most=4,
    window=4 * PIECE,
    piece=PIECE,
    least=PIECE,
    share=1,
    hunger=0,
    gain=0,
    loss=0,
    enough=1e12,
    epoch=0,
    longest=0,
)
BLOB = content(3_000_000)
WANTED = described(BLOB)


def eager(
    host: str,
    *,
    now: Time | None = None,
    ranges: RangePolicy | None = EAGER,
    patience: Patience | None = None,
    attempts: int = 5,
    concurrency: int = 6,
) -> AbstractAsyncContextManager[Repository]:
    """The repository `app`, by a clock that runs and waits that cost nothing."""
    return opened(
        f"{host}/app",
        world=(now or Time()).world(real_clock=True),
        ranges=ranges,
        patience=patience,
        retries=RetryPolicy(attempts=attempts),
        concurrency=concurrency,
    )


def ranges(journal: Journal) -> list[tuple[int, int | None]]:
    """First byte and the byte after the last, None for the end, of every request for a blob that was answered."""
    found = []
    for request in journal:
        if request.kind in ("blob", "other") and request.range is not None:
            first, _, last = request.range.removeprefix("bytes=").partition("-")
            found.append((int(first), int(last) + 1 if last else None))
    return found


def are_pieces(found: list[tuple[int, int | None]]) -> bool:
    """Whole pieces in their places, each once, to the end of the blob."""
    starts = [first for first, _ in found]
    return starts == list(range(starts[0], len(BLOB), PIECE)) and all(
        last == min(first + PIECE, len(BLOB)) for first, last in found
    )
