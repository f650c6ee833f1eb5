"""Cluster: a Carrier that has the workers of a dask.distributed cluster bring images.

The scheduler is dask's own: it hands images to workers with a thread free, and again to others when a worker dies.
Directories and files of this machine are seen to by this process, with the same claims.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import anyio
from distributed import Client
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from puller.contracts.images import Claims
from puller.errors import InvalidConfig, Unavailable
from puller.model.sync import Carried, Transfer
from puller.ops.syncing.carrier import Carrier
from puller.ops.syncing.crew import Crew, OpenCarrier, carry_here, crew_name, told
from puller.ops.syncing.sharing import ClusterClaims, is_shared

_HINT = "Look into the workers' logs: among others, dask ends workers that use too much memory."
PATIENCE = 30.0  # seconds until a scheduler that does not answer is given up
_MEASURED = 20  # images between two looks at how many workers there are
_AHEAD = 2  # images given to the cluster for each of its threads, so that none waits for us


class ClusterCarrier:
    """Hands images to a cluster, those of this machine's directories to `here`."""

    def __init__(self, scheduler: Client, run: str, here: Carrier) -> None:
        self._scheduler = scheduler
        self._run = run
        self._here = here
        self._places = anyio.CapacityLimiter(1)
        self._given = 0

    async def carry(self, transfer: Transfer) -> Carried:
        """See Carrier. Raises Unavailable where the cluster is lost, or several workers died over this image."""
        if not (is_shared(transfer.source) and is_shared(transfer.target)):
            return await self._here.carry(transfer)
        await self._measure()
        async with self._places:
            future = self._scheduler.submit(carry_here, transfer.encode(), self._run, pure=False)
            try:
                answer = await future
            except KilledWorker as error:
                what = "several workers died while they brought this image"
                raise Unavailable(what, reference=transfer.source, hint=_HINT) from error
            except (FutureCancelledError, CommClosedError) as error:
                raise Unavailable("the cluster was lost", reference=transfer.source) from error
            except Exception as error:  # whatever dask says of its own must not end the images of others
                what = "the cluster could not take this image"
                raise Unavailable(what, got=_text(error), reference=transfer.source, hint=_HINT) from error
            finally:
                if not future.done():
                    with anyio.CancelScope(shield=True), suppress(Exception):
                        await future.cancel(force=True)
                future.release()
        return told(answer)

    async def _measure(self) -> None:
        """Now and then: how many images the cluster can take, since workers come and go."""
        if self._given % _MEASURED == 0:
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
        stack.push_async_callback(_quietly, claims.forget)
        try:
            await scheduler.register_plugin(Crew(run, opened))
        except Exception as error:  # what kept a worker from making sense of it
            hint = "They need this version of puller, too: pip install 'puller[cluster]'."
            raise Unavailable("the workers cannot take part", where=address, got=_text(error), hint=hint) from error
        stack.push_async_callback(_quietly, lambda: scheduler.unregister_worker_plugin(crew_name(run)))
        try:
            await scheduler.wait_for_workers(1, timeout=patience)
        except TimeoutError as error:
            hint = f"Start some: `dask worker {address}`."
            raise Unavailable("the cluster has no workers", where=address, hint=hint) from error
        yield ClusterCarrier(scheduler, run, here(claims))


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


async def _quietly(parting: Callable[[], Awaitable[object]]) -> None:
    """What is done last need not come to anything: the scheduler may be gone."""
    with anyio.move_on_after(PATIENCE, shield=True), suppress(OSError, CommClosedError, TimeoutError):
        await parting()
