"""Replica: one host that may have a repository, opened when it is first asked; and how long a mirror is waited for."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from puller.contracts.access import Endpoint
from puller.registry.means import Means
from puller.registry.pace import HostPace
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from puller.registry.transport.patience import Patience
from puller.registry.transport.proxy import Proxies, Proxy

# `hasty`: somebody else can be asked instead.
Open: TypeAlias = Callable[[Endpoint, bool], Repository]

# A mirror is there to be quick. Two tries bridge a restart or a lost packet. Ten seconds are longer than any pause of
# TCP that ends well on a line worth using; fifteen let a mirror that fetches from its source first find what is not
# very large. So a mirror that is dead costs at most half a minute, once, and then it is distrusted. Whoever turns out
# to be the only one to have something is asked again with all patience.
_RETRIES = RetryPolicy(attempts=2, base=0.5, cap=2.0, retry_after_cap=2.0)
_MAX_WAIT = 2.0  # seconds for a quota to open
_PATIENCE = Patience(connect=5.0, first_byte=15.0, stall=10.0, window=10.0)


class Replica:
    """One endpoint of a reference. `host` is what it is called in reports: `host[:port]`."""

    def __init__(self, endpoint: Endpoint, opened: Open) -> None:
        self.endpoint = endpoint
        self.host = endpoint.registry
        self._open = opened
        self._repositories: dict[bool, Repository] = {}

    def repository(self, *, hasty: bool) -> Repository:
        """The repository there. Raises InvalidConfig for settings that are of no use for this host."""
        if hasty not in self._repositories:
            self._repositories[hasty] = self._open(self.endpoint, hasty)
        return self._repositories[hasty]


def suited(means: Means, endpoint: Endpoint, *, hasty: bool, pace: HostPace | None = None) -> Means:
    """The same as it suits one endpoint: with the proxy, the waits and the `pace` that are set up for it, and a
    mirror's patience.

    Raises InvalidConfig for what is no proxy.
    """
    if pace is not None:
        concurrency = means.concurrency if pace.concurrency is None else pace.concurrency
        means = replace(means, rate=pace.rate, concurrency=concurrency)
    if hasty:
        means = hastened(means)
    if endpoint.connect_within is not None:
        means = replace(means, patience=replace(means.patience, connect=endpoint.connect_within))
    if endpoint.proxy:
        proxy = Proxy.parse(endpoint.proxy, where=f"proxy of {endpoint.registry}")
        means = replace(means, proxies=Proxies(proxy, proxy, authorities=means.proxies.authorities))
    return means


def hastened(means: Means) -> Means:
    """The same with little patience, for hosts that are not the only ones to have something."""
    own, retries = means.patience, means.retries
    patience = replace(
        own,
        connect=min(own.connect, _PATIENCE.connect),
        first_byte=min(own.first_byte, _PATIENCE.first_byte),
        stall=min(own.stall, _PATIENCE.stall),
        window=min(own.window, _PATIENCE.window),
    )
    fewer = replace(
        retries,
        attempts=min(retries.attempts, _RETRIES.attempts),
        base=min(retries.base, _RETRIES.base),
        cap=min(retries.cap, _RETRIES.cap),
        retry_after_cap=min(retries.retry_after_cap, _RETRIES.retry_after_cap),
    )
    return replace(means, patience=patience, retries=fewer, max_wait=min(means.max_wait, _MAX_WAIT))
