"""Crew: what runs on every worker of a cluster. The registries are opened once for a run, and images brought as asked.

Workers are given no secret: who to be at a registry is looked up where they run.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from distributed import Worker, WorkerPlugin, get_client, get_worker

from puller import errors
from puller.errors import PullerError, StoreError
from puller.model.sync import Carried, Transfer
from puller.model.text import printable
from puller.ops.syncing.carrier import Carrier
from puller.ops.syncing.sharing import Scheduler

# Opens who brings images, with claims that are shared through this scheduler in the run of this name. It is pickled.
OpenCarrier: TypeAlias = Callable[[Scheduler, str], AbstractAsyncContextManager[Carrier]]


class Crew(WorkerPlugin):
    """One on each worker process, also on those that join later. `name` is what dask knows it by."""

    def __init__(self, run: str, opened: OpenCarrier) -> None:
        self.name = crew_name(run)
        self._run = run
        self._opened = opened

    async def setup(self, worker: Worker) -> None:
        """The worker has it now; nothing is opened before an image is to be brought."""
        self._ready: asyncio.Future[Carrier] | None = None
        self._over = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def teardown(self, worker: Worker) -> None:
        """The run or the worker ends: close what was opened."""
        self._over.set()
        if self._keeping is not None:
            await self._keeping

    async def carrier(self) -> Carrier:
        """Who brings images here. Raises what opening it does, to everybody who asks."""
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._keeping = asyncio.create_task(self._keep(self._ready, get_client()))
        return await asyncio.shield(self._ready)

    async def _keep(self, ready: "asyncio.Future[Carrier]", scheduler: Scheduler) -> None:
        """Open and close in one task, as the scopes of tasks inside want it."""
        try:
            async with self._opened(scheduler, self._run) as carrier:
                ready.set_result(carrier)
                await self._over.wait()
        except Exception as error:  # of whatever kind: who waits for it would wait for good
            if not ready.done():
                ready.set_exception(error)
                ready.exception()  # heard, whether or not anybody still waits


def crew_name(run: str) -> str:
    """What dask knows the crew of a run by."""
    return f"puller-{run}"


async def carry_here(transfer: Mapping[str, Any], run: str) -> dict[str, Any]:
    """Bring one image on the worker that this runs on. Transfer and Carried go as plain data, and so do failures, under
    `failed`: dask hands on an exception only if all that hangs on it can be pickled.
    """
    crew = get_worker().plugins.get(crew_name(run))
    if not isinstance(crew, Crew):
        raise StoreError("the worker does not take part in this run", where=crew_name(run))
    try:
        carried = await (await crew.carrier()).carry(Transfer.decode(transfer))
    except PullerError as error:
        return {"failed": error.facts()}
    except Exception as error:
        what = f"a fault of this program on a worker: {type(error).__name__}: {printable(str(error))}"
        return {"failed": PullerError(what, hint="The worker's log may tell more.").facts()}
    return carried.encode()


def told(answer: Mapping[str, Any]) -> Carried:
    """What `carry_here` gave, here again. Raises the PullerError that was raised there."""
    if "failed" not in answer:
        return Carried.decode(answer)
    facts = dict(answer["failed"])
    kind = getattr(errors, facts.pop("error"), PullerError)
    notes = facts.pop("notes", ())
    error: PullerError = kind(facts.pop("what"), **facts)
    for note in notes:
        error.add_note(note)
    raise error
