"""Means: what all sessions of one client share."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

from puller.contracts.access import Trust
from puller.model.event import Report, unheard
from puller.registry.download.pool import Pool
from puller.registry.pace import CONCURRENCY, MAX_WAIT
from puller.registry.quota.limiter import Limiter
from puller.registry.retry import RetryPolicy
from puller.registry.transport.census import Census
from puller.registry.transport.patience import Patience
from puller.registry.transport.proxy import STRAIGHT, Proxies
from puller.registry.transport.reach import Classify, reach_of
from puller.registry.transport.throttle import Throttle
from puller.registry.transport.tls import tls_context
from puller.registry.world import World
from puller.version import VERSION

if TYPE_CHECKING:
    from puller.registry.transport.trace import Trace


@dataclass(frozen=True, slots=True)
class Means:
    """`token_hosts`: token servers that may see credentials whichever registry sends there. `concurrency`: most
    connections to one host. `trace` hears of every request; None: nobody wants to know.
    `pool` is of those who fetch in pieces over several connections; None: nobody does.
    `limiter` lets requests go when their hosts allow it, None: each session has its own; `max_wait` is in seconds.
    `throttle` holds back the bodies of all transfers together; None: nothing does. `rate`: requests a second to the
    registry itself, None for what the limiter has for any host. `census` counts the requests. `tls` makes one
    context for each trust: to read the authorities of a system takes 20 ms.
    """

    report: Report = unheard
    world: World = field(default_factory=World)
    patience: Patience = field(default_factory=Patience)
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    concurrency: int = CONCURRENCY
    pool: Pool | None = field(default_factory=Pool)
    token_hosts: frozenset[str] = frozenset()
    user_agent: str = f"puller/{VERSION}"
    classify: Classify = reach_of
    resolver: Callable[[], AbstractResolver] = ThreadedResolver
    proxies: Proxies = STRAIGHT
    throttle: Throttle | None = None
    trace: "Trace | None" = None
    limiter: Limiter | None = None
    max_wait: float = MAX_WAIT
    rate: float | None = None
    census: Census = field(default_factory=Census)
    tls: Callable[[Trust], ssl.SSLContext] = field(default_factory=lambda: cache(tls_context))
