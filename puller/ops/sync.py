"""sync, plan, apply: bring what a configuration names; tell what that would change; do exactly what was told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from puller.errors import PullerError
from puller.mirror.config import Config, Mirror
from puller.mirror.state import State
from puller.model.event import Report, Synced, unheard
from puller.model.sync import SyncReport
from puller.ops.syncing.bringing import Bringing, Left, untold
from puller.ops.syncing.carrier import Carrier
from puller.ops.syncing.hands import Doing, Telling
from puller.ops.syncing.ledger import Ledger
from puller.ops.syncing.pairs import Expansion, among
from puller.ops.syncing.places import Places
from puller.ops.syncing.pruning import Pruning
from puller.ops.syncing.walk import Walk
from puller.ops.tasks import apart

if TYPE_CHECKING:
    from puller.mirror.plan import Forecast, Plan

Clock: TypeAlias = Callable[[], float]  # seconds since the epoch
Requests: TypeAlias = Callable[[], Mapping[str, Mapping[str, int]]]


def uncounted() -> Mapping[str, Mapping[str, int]]:
    """Nobody has counted what was asked."""
    return {}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its name, the configuration it is of, its clock; `left` and `requests` tell of the registries."""

    name: str
    config: str
    now: Clock
    left: Left = untold
    requests: Requests = uncounted


async def sync(
    config: Config,
    run: Run,
    *,
    places: Places,
    carrier: Carrier,
    state: State,
    report: Report = unheard,
    only: Sequence[Mirror] | None = None,
) -> SyncReport:
    """Bring what is new or has changed, and prune what is to be pruned; `only` these mirrors, None: all.

    What fails stops nothing else and stands in the report, which is given to `state`, and to whoever listens, also
    where the run is cancelled. Raises StoreError where the state cannot be begun.
    """
    chosen = among(only)
    ledger = Ledger(list(filter(chosen, config.mirrors)), report)
    bringing = Bringing(run.name, places, carrier, state, now=run.now, left=run.left)
    doing = Doing(bringing, Pruning(run.name, places, state, run.now, ledger.warn))
    walk = Walk(places, state, doing, ledger, now=_date(run.now()))
    account = _Account(run, state, ledger, report)

    async def work() -> None:
        await walk.run(await Expansion(places, ledger.warn, ledger.trouble).lanes(config.mirrors, chosen))

    with account:
        await apart(work)
    return account.done


async def plan(
    config: Config,
    called: str,
    *,
    places: Places,
    state: State,
    now: Clock,
    report: Report = unheard,
    only: Sequence[Mirror] | None = None,
) -> "Plan":
    """What a sync would do, of every tag, and what that would take. Nothing is changed but what is known of dates.

    Lists that could not be had are reported as events; the plan says nothing of their tags.
    """
    from puller.mirror.plan import Plan  # only now: syncs make none

    chosen = among(only)
    ledger = Ledger(list(filter(chosen, config.mirrors)), report)
    made = now()
    telling = Telling(places, state, now)
    walk = Walk(places, state, telling, ledger, now=_date(made), tells_out=True)

    async def work() -> "Forecast":
        await walk.run(await Expansion(places, ledger.warn, ledger.trouble).lanes(config.mirrors, chosen))
        return telling.forecast()

    forecast = await apart(work)
    return Plan(called, made, ledger.items(), forecast)


async def apply(
    plan: "Plan", run: Run, *, places: Places, carrier: Carrier, state: State, report: Report = unheard
) -> SyncReport:
    """Do what stands in a plan and nothing else; what does not fit any more is refused, each by itself."""
    from puller.ops.syncing.applying import Applying  # only now: syncs have none

    ledger = Ledger((), report)
    bringing = Bringing(run.name, places, carrier, state, now=run.now, left=run.left)
    account = _Account(run, state, ledger, report)
    pruning = Pruning(run.name, places, state, run.now, ledger.warn)
    applying = Applying(bringing, pruning.remove, places, state, ledger)
    with account:
        await apart(lambda: applying.run(plan.items))
    return account.done


class _Account:
    """Begins a run in the state, and ends it there whatever becomes of it."""

    def __init__(self, run: Run, state: State, ledger: Ledger, report: Report) -> None:
        self._run = run
        self._state = state
        self._ledger = ledger
        self._report = report
        self._started = run.now()
        self.done = SyncReport(run.name, run.config, self._started, self._started)

    def __enter__(self) -> None:
        self._state.begin(self._run.name, self._run.config, self._started)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        """Close the report. What ended the run as a whole stands in it; an interrupt goes on."""
        facts: Mapping[str, object] | None = None
        if isinstance(error, PullerError):
            facts = error.facts()
        elif error is not None:
            facts = {"error": type(error).__name__, "what": "the run was interrupted"}
        self.done = self._closed(facts)
        try:
            self._state.end(self.done)
        except PullerError as failure:
            self.done = replace(self.done, error=self.done.error or failure.facts())
        self._report(Synced(self.done))
        return isinstance(error, PullerError)

    def _closed(self, error: Mapping[str, object] | None) -> SyncReport:
        run, ledger = self._run, self._ledger
        items, problems, warnings = ledger.items(), tuple(ledger.problems), tuple(ledger.warnings)
        ended = max(self._started, run.now())
        requests = {host: dict(methods) for host, methods in run.requests().items()}
        return SyncReport(run.name, run.config, self._started, ended, items, problems, warnings, requests, error)


def _date(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)
