"""Daemon: runs mirrors when they are due, for months.

One run at a time, because a state knows one run: what becomes due meanwhile runs after it, all of it in one run. Times
at which a mirror is due while it still runs are skipped and counted (RELIABILITY R13). What ends a run badly ends
nothing else.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from traceback import format_exception
from typing import Protocol, TypeAlias

import anyio

from puller.errors import PullerError, StoreBusy
from puller.mirror.config import Mirror
from puller.mirror.schedule import Schedule
from puller.model.sync import SyncReport
from puller.model.text import printable
from puller.ops.syncing.brake import Brake
from puller.ops.syncing.parts import rans_of
from puller.ops.syncing.tallies import Tallies
from puller.ops.syncing.turns import Ran, Turn, Turns, keyed, turns_of
from puller.ops.tasks import one_error

SLICE = 30.0  # seconds of sleep at a time: clocks jump, and machines are suspended
AGAIN = 60.0  # seconds until a state that another process holds is asked for again

RunOnce: TypeAlias = Callable[[Sequence[Mirror]], Awaitable[SyncReport]]
Tell: TypeAlias = Callable[[str], object]


class Memory(Protocol):
    """When mirrors ran last, as runs note it (see `parts.note_runs`), also those of other processes."""

    def lasts(self, keys: Iterable[str]) -> Mapping[str, Ran]:
        """Of those that ever ran, by their keys. Raises PullerError."""
        ...


class Wishes:
    """What signals ask of a daemon. Made within the event loop."""

    def __init__(self) -> None:
        self.stopping = anyio.Event()
        self.abandoning = anyio.Event()
        self._rereading = False
        self._woken = anyio.Event()

    def stop(self) -> None:
        """End, with what is under way within its grace; asked for again: at once."""
        if self.stopping.is_set():
            self.abandoning.set()
        self.stopping.set()
        self._woken.set()

    def reread(self) -> None:
        """Read the configuration again, after the run that is under way."""
        self._rereading = True
        self._woken.set()

    def takes_reread(self) -> bool:
        """Whether it is to be read again; asked once for each wish."""
        asked, self._rereading = self._rereading, False
        return asked

    async def woken(self) -> None:
        """Wait for a wish."""
        await self._woken.wait()
        self._woken = anyio.Event()


@dataclass(kw_only=True, slots=True)
class Daemon:
    """What a daemon works with. `clock` counts seconds from the epoch; `jitter` and `grace` are in seconds.

    `otherwise` is the schedule of mirrors that have none. `reread` gives the mirrors of the configuration as it is now,
    and raises what is wrong with it.
    """

    run_once: RunOnce
    state: Memory
    zone: tzinfo
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]
    wishes: Wishes
    brake: Brake
    tallies: Tallies
    tell: Tell
    reread: Callable[[], Sequence[Mirror]]
    jitter: float = 0.0
    grace: float = 30.0
    otherwise: Schedule | None = None
    _turns: Turns = field(init=False)
    _ran: dict[str, Ran] = field(default_factory=dict)
    _seen: float = float("-inf")
    _is_busy: bool = False

    async def keep_syncing(self, mirrors: Sequence[Mirror]) -> None:
        """Run mirrors when they are due, until `wishes` ask for the end."""
        self._arrange(mirrors)
        while not self.wishes.stopping.is_set():
            if self.wishes.takes_reread():
                self._read_again()
            now = self._look_at_the_clock()
            due = self._still_due(self._turns.due(now), now)
            if due:
                await self._run(due)
            else:
                following = self._turns.next()
                await self._nap(SLICE if following is None else min(SLICE, following - now))

    def _arrange(self, mirrors: Sequence[Mirror]) -> None:
        turns = turns_of(mirrors, self.otherwise)
        self._turns = Turns(turns, self.zone, jitter=self.jitter, random=self.random)
        keys = [key for key, _ in keyed(mirrors)]
        lasts = self._lasts(keys)
        self._ran = {key: ran for key in keys if (ran := lasts.get(key) or self._ran.get(key)) is not None}
        self.tallies.keep(keys)
        for key in keys:
            self.tallies.of(key).ran_before(self._ran.get(key))
        self._plan(turns, self.clock())

    def _plan(self, turns: Sequence[Turn], now: float) -> None:
        for turn in turns:
            self._turns.plan(turn, self._ran.get(turn.key), now)
        self.tallies.planned(self._turns.times)

    def _read_again(self) -> None:
        try:
            mirrors = self.reread()
        except PullerError as error:
            self.tallies.refused += 1
            self.tell(f"the configuration stays as it was, because what is there now is wrong: {error}")
        else:
            self._arrange(mirrors)
            self.tell(f"the configuration was read again: {len(self._turns.turns)} mirrors with a schedule")

    def _look_at_the_clock(self) -> float:
        now = self.clock()
        if now < self._seen - SLICE:
            self.tell(f"the clock was set back by {self._seen - now:.0f} s; all schedules are looked at again")
            self._plan(self._turns.turns, now)
        self._seen = self.tallies.beat = now
        return now

    def _still_due(self, due: Sequence[Turn], now: float) -> list[Turn]:
        """Those that nobody else has run meanwhile, by hand or from another daemon."""
        if not due:
            return []
        lasts = self._lasts([turn.key for turn in due])
        for turn in due:
            ran, known = lasts.get(turn.key), self._ran.get(turn.key)
            if ran is not None and (known is None or ran.started > known.started):
                self._ran[turn.key] = ran
                self.tallies.of(turn.key).ran_before(ran)
                self._plan([turn], now)
        return [turn for turn in due if self._turns.times[turn.key] <= now]

    def _lasts(self, keys: Iterable[str]) -> Mapping[str, Ran]:
        try:
            return self.state.lasts(keys)
        except PullerError as error:
            self.tell(f"when mirrors ran last cannot be read: {error}")
            return {}

    async def _nap(self, seconds: float) -> None:
        await _first(lambda: self.sleep(seconds), self.wishes.woken)

    async def _run(self, due: Sequence[Turn]) -> None:
        batch = [(turn.key, turn.mirror) for turn in due]
        started = self.clock()
        self.tallies.begin([key for key, _ in batch], started)
        try:
            report = await self._attempt([mirror for _, mirror in batch], started)
        except StoreBusy as error:
            self._wait_for_the_state(due, error)
        else:
            self._is_busy = False
            if report is not None:
                self._note(batch, report)
        finally:
            self.tallies.finish()
            self.tallies.beat = self.clock()

    async def _attempt(self, mirrors: Sequence[Mirror], started: float) -> SyncReport | None:
        """The report of a run, however it went; None: it was abandoned. Raises StoreBusy where it could not begin."""
        reports: list[SyncReport] = []

        async def work() -> None:
            reports.append(await self.run_once(mirrors))

        try:
            with one_error():
                await _first(work, self._ending)
        except StoreBusy:
            raise
        except PullerError as error:
            self.tell(f"the run has failed: {error}")
            return SyncReport("", "", started, self.clock(), error=error.facts())
        except Exception as error:  # a fault of this program's must not end the mirrors of months either
            self.tell("the run has failed by a fault of this program: " + "".join(format_exception(error)))
            facts = {"error": type(error).__name__, "what": printable(str(error))}
            return SyncReport("", "", started, self.clock(), error=facts)
        return reports[0] if reports else None

    async def _ending(self) -> None:
        """Wait until a run is to be given up: asked to end, and nothing is under way, or its grace is over."""
        await self.wishes.stopping.wait()
        self.brake.stop()
        if self.brake.under_way:
            self.tell(f"ending; {self.brake.under_way} images on their way have {self.grace:.0f} s to arrive")
        await _first(self.brake.idle, self.wishes.abandoning.wait, lambda: self.sleep(self.grace))

    def _wait_for_the_state(self, due: Sequence[Turn], error: StoreBusy) -> None:
        if not self._is_busy:
            self.tell(f"skipped, and tried again every {AGAIN:.0f} s: {error}")
        self._is_busy = True
        until = self.clock() + AGAIN
        for turn in due:
            self.tallies.of(turn.key).busy += 1
            self._turns.postpone(turn, until)
        self.tallies.planned(self._turns.times)

    def _note(self, batch: Sequence[tuple[str, Mirror]], report: SyncReport) -> None:
        started, ended = report.started, max(report.started, report.ended)
        parts = self.tallies.count(report, batch)
        self._ran.update(rans_of(parts, report))
        ran = [turn for turn in self._turns.turns if turn.key in parts]
        for turn in ran:
            skipped = self._turns.skipped(turn, started, ended)
            if skipped:
                self.tallies.of(turn.key).skipped += skipped
                self.tell(f"{turn.key} was due {skipped} more times while it ran; they are skipped")
        self._plan(ran, ended)


async def _first(*waits: Callable[[], Awaitable[object]]) -> None:
    """Wait for whichever ends first; the others are cancelled."""
    async with anyio.create_task_group() as group:

        async def one(wait: Callable[[], Awaitable[object]]) -> None:
            await wait()
            group.cancel_scope.cancel()

        for wait in waits:
            group.start_soon(one, wait)
