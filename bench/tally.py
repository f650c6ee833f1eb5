"""What a registry was asked, by method and kind, out of its own log."""

import time
from collections import Counter
from dataclasses import dataclass, field

from bench.registry import Registry, Request
from bench.table import megabytes

QUIET = 0.3
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Answered requests by (method, kind), and bytes of the bodies that were sent."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    sent: int = 0

    def __getitem__(self, key: tuple[str, str]) -> int:
        return self.counts[key]

    def __sub__(self, before: "Tally") -> "Tally":
        return Tally(self.counts - before.counts, self.sent - before.sent)

    @property
    def total(self) -> int:
        """How many requests there were."""
        return self.counts.total()

    def cells(self) -> tuple[str, ...]:
        """HEADs and GETs of manifests, GETs of blobs, lists of tags, all else; MB."""
        shown = [("HEAD", "manifest"), ("GET", "manifest"), ("GET", "blob"), ("GET", "list")]
        named = [self.counts[key] for key in shown]
        return (*map(str, named), str(self.total - sum(named)), megabytes(self.sent))

    def describe(self) -> str:
        """All of it in one line."""
        return ", ".join(f"{count} × {method} {kind}" for (method, kind), count in sorted(self.counts.items()))


def tally(requests: list[Request]) -> Tally:
    """The tally of these requests."""
    return Tally(
        Counter((request.method, _kind(request.path)) for request in requests),
        sum(request.size for request in requests if request.method == "GET"),
    )


def settled(registry: Registry | None) -> Tally:
    """All that was asked so far; its log comes after its answers, so it is read until it has been quiet a while."""
    if registry is None:
        return Tally()
    deadline = time.monotonic() + PATIENCE
    size = -1
    while registry.log.stat().st_size != size and time.monotonic() < deadline:
        size = registry.log.stat().st_size
        time.sleep(QUIET)
    return tally(registry.requests())


def _kind(path: str) -> str:
    for part, kind in (("/blobs/uploads/", "upload"), ("/blobs/", "blob"), ("/manifests/", "manifest")):
        if part in path:
            return kind
    return "list" if path.partition("?")[0].endswith("/tags/list") else "other"
