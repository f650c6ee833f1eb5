"""Sharing: claims on digests among the processes of a cluster, so that each digest is fetched once in a run.

Who has one is decided by `distributed.Lock`, which the scheduler takes back from processes that die; where one has
arrived is told through the scheduler's metadata.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias

from distributed import Client, Lock

from puller.contracts.content import Fetcher
from puller.contracts.images import Claims, Held
from puller.model.digest import Digest

Scheduler: TypeAlias = Client  # the connection to it
_ROOT = "puller"  # under which all of ours lies in the scheduler's metadata
_ELSEWHERE = ("oci:", "store:", "oci-archive:", "docker-archive:")


def is_shared(place: str) -> bool:
    """Whether every machine can reach it: a repository, and no directory or file of one of them."""
    return not place.startswith(_ELSEWHERE)


class ClusterClaims:
    """Claims over all processes of `run`; `local` are those of this one, which asks nobody about what it knows."""

    def __init__(self, local: Claims, scheduler: Scheduler, run: str) -> None:
        self._local = local
        self._scheduler = scheduler
        self._run = run

    @asynccontextmanager
    async def claim(self, digest: Digest) -> AsyncIterator[Held]:
        """See Claims. What another process has brought is known from then on, and its digest free for others again."""
        key = [_ROOT, self._run, str(digest)]
        async with self._local.claim(digest) as held, AsyncExitStack() as stack:
            if held.fetcher is None:
                await stack.enter_async_context(_locked("-".join(key), self._scheduler))
                told = await self._scheduler.get_metadata(key, default={})
                for place in told:
                    await held.arrived(place)
                if told:
                    await stack.aclose()
            yield _Told(held, self._scheduler, key)

    async def forget(self) -> None:
        """The run is over: the scheduler need not remember any of it."""
        told = await self._scheduler.get_metadata([_ROOT, self._run], default=None) or {}
        for digest in told:
            await _lock(f"{_ROOT}-{self._run}-{digest}", self._scheduler).close()
        await self._scheduler.set_metadata([_ROOT, self._run], None)


def _lock(name: str, scheduler: Scheduler) -> Lock:
    return Lock(name, scheduler_rpc=scheduler.scheduler, loop=scheduler.loop)


@asynccontextmanager
async def _locked(name: str, scheduler: Scheduler) -> AsyncIterator[None]:
    lock = _lock(name, scheduler)
    try:
        async with lock:
            yield
    finally:
        refreshing = getattr(lock, "refresh_callback", None)  # none where leases have no end
        if refreshing is not None:
            refreshing.stop()  # which nobody else does, so it would go on for good


class _Told:
    """What is held, and told to the others once it has arrived where they can reach it."""

    def __init__(self, held: Held, scheduler: Scheduler, key: list[str]) -> None:
        self._held = held
        self._scheduler = scheduler
        self._key = key

    @property
    def fetcher(self) -> Fetcher | None:
        """See Held."""
        return self._held.fetcher

    def is_at(self, place: str) -> bool:
        """See Held."""
        return self._held.is_at(place)

    def lend(self, raw: bytes) -> None:
        """See Held."""
        self._held.lend(raw)

    async def arrived(self, place: str) -> None:
        """See Held."""
        if self._held.is_at(place):
            return
        await self._held.arrived(place)
        if is_shared(place):
            await self._scheduler.set_metadata([*self._key, place], True)
