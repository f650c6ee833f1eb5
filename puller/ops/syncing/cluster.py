"""Cluster: a Carrier that has the workers of a dask.distributed cluster bring images.

The scheduler is dask's own: it hands images to workers with a thread free, and again to others when a worker dies.
Directories and files of this machine are seen to by this process, with the same claims.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import anyio
from distributed import Client
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from puller.contracts.images import Claims
from puller.errors import InvalidConfig, PullerError, Unavailable
from puller.model.sync import Carried, Transfer
from puller.ops.syncing.carrier import Carrier
from puller.ops.syncing.crew import Crew, OpenCarrier, carry_here, crew_name, told
from puller.ops.syncing.sharing import ClusterClaims, is_shared

_HINT = "Look into the workers' logs: among others, dask ends workers that use too much memory."
PATIENCE = 30.0  # seconds until a scheduler that does not answer is given up
PARTING = 5.0  # seconds for the last words to it
_MEASURED = 20  # images between two looks at how many workers there are
_AHEAD = 2  # images given to the cluster for each of its threads, so that none waits for us


class ClusterCarrier:
    """Hands images to a cluster, those of this machine's directories to `here`."""

    def __init__(self, scheduler: Client, address: str, run: str, here: Carrier) -> None:
        self._scheduler = scheduler
        self._address = address
        self._run = run
        self._here = here
        self._places = anyio.CapacityLimiter(1)
        self._given = 0

    async def carry(self, transfer: Transfer) -> Carried:
        """See Carrier. Raises Unavailable where the cluster is lost, or several workers died over this image."""
        if not (is_shared(transfer.source) and is_shared(transfer.target)):
            return await self._here.carry(transfer)
        try:
            return told(await self._answer(transfer))
        except PullerError:
            raise
        except KilledWorker as error:
            what = "several workers died while they brought this image"
            raise Unavailable(what, reference=transfer.source, hint=_HINT) from error
        except Exception as error:  # whatever dask says of its own must not end the images of others
            if isinstance(error, FutureCancelledError | CommClosedError) or not is_there(self._scheduler):
                raise self._lost(transfer) from error
            what = "the cluster could not take this image"
            raise Unavailable(what, got=_text(error), reference=transfer.source, hint=_HINT) from error

    async def _answer(self, transfer: Transfer) -> Mapping[str, Any]:
        await self._measure()
        async with self._places:
            if not is_there(self._scheduler):  # dask would keep it until a scheduler is found again
                raise self._lost(transfer)
            future = self._scheduler.submit(carry_here, transfer.encode(), self._run, pure=False)
            try:
                answer: Mapping[str, Any] = await future
                return answer
            finally:
                if not future.done():
                    with anyio.CancelScope(shield=True), suppress(Exception):
                        await future.cancel(force=True)
                future.release()

    def _lost(self, transfer: Transfer) -> Unavailable:
        what, hint = "the cluster was lost", "Without --cluster the same command goes on with what is left."
        return Unavailable(what, where=self._address, reference=transfer.source, hint=hint)

    async def _measure(self) -> None:
        """Now and then: how many images the cluster can take, since workers come and go."""
        if self._given % _MEASURED == 0 and is_there(self._scheduler):
            threads = sum((await self._scheduler.nthreads()).values())
            self._places.total_tokens = max(1, threads * _AHEAD)
        self._given += 1


@asynccontextmanager
async def cluster(
    address: str,
    run: str,
    opened: OpenCarrier,
    *,
    here: Callable[[Claims], Carrier],
    local: Claims,
    patience: float = PATIENCE,
) -> AsyncIterator[ClusterCarrier]:
    """A carrier over the cluster at `address` (`tcp://host:8786`, `tls://…`) for as long as the block runs.

    `opened` is run on each worker, `here` makes who brings images in this process, whose own claims are `local`. Raises
    Unavailable where nobody answers, or no worker is there; InvalidConfig for what is no address.
    """
    if not address.startswith(("tcp://", "tls://")):
        raise InvalidConfig("no address of a scheduler", wanted="tcp://HOST:8786, or tls://", got=address)
    async with AsyncExitStack() as stack:
        try:
            scheduler = await stack.enter_async_context(Client(address, asynchronous=True, timeout=patience))
        except (OSError, TimeoutError, CommClosedError, ValueError) as error:
            hint = "Start one with `dask scheduler`, and workers with `dask worker tcp://HOST:8786`."
            raise Unavailable("no scheduler answers", where=address, got=_text(error), hint=hint) from error
        claims = ClusterClaims(local, scheduler, run)
        stack.push_async_callback(_parting, scheduler, claims.forget)
        try:
            await scheduler.register_plugin(Crew(run, opened))
        except Exception as error:  # what kept a worker from making sense of it
            hint = "They need this version of puller, too: pip install 'puller[cluster]'."
            raise Unavailable("the workers cannot take part", where=address, got=_text(error), hint=hint) from error
        stack.push_async_callback(_parting, scheduler, lambda: scheduler.unregister_worker_plugin(crew_name(run)))
        try:
            await scheduler.wait_for_workers(1, timeout=patience)
        except TimeoutError as error:
            hint = f"Start some: `dask worker {address}`."
            raise Unavailable("the cluster has no workers", where=address, hint=hint) from error
        yield ClusterCarrier(scheduler, address, run, here(claims))


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def is_there(scheduler: Client) -> bool:
    """Whether it is connected; one that is lost dask looks for during some seconds, and nobody waits for that."""
    return bool(scheduler.status == "running")


async def _parting(scheduler: Client, word: Callable[[], Awaitable[object]]) -> None:
    """What is said last need not come to anything: the scheduler may be gone."""
    if is_there(scheduler):
        with anyio.move_on_after(PARTING, shield=True), suppress(OSError, CommClosedError, TimeoutError, RuntimeError):
            await word()
