"""Pace: how much a run asks of registries at most, at once and over time. What they allow themselves comes on top."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CONCURRENCY: Final = 6  # connections to one host
MAX_WAIT: Final = 15 * 60.0  # seconds until a quota opens


@dataclass(frozen=True, slots=True)
class HostPace:
    """How much one registry is asked for: `rate` in requests a second, `concurrency` in connections at once; None: as
    any other.
    """

    rate: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """`concurrency`: connections to one host at once. `request_rate`: requests a second to one host, `limit_rate`:
    bytes a second of the bodies of all requests together, None: as many as come. `max_wait`: seconds that a request
    waits at most for its registry's quota to open. `quotas`: the folder where processes share what they know of those,
    None: they do not. `hosts` say otherwise of some registries, by their names in references.
    """

    concurrency: int = CONCURRENCY
    request_rate: float | None = None
    limit_rate: int | None = None
    max_wait: float = MAX_WAIT
    quotas: Path | None = None
    hosts: Mapping[str, HostPace] = field(default_factory=dict)
