"""A daemon whose time is a number: sleeping moves the clock, and nothing else does but runs."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

import anyio

from puller.mirror.config import Mirror, Place
from puller.mirror.schedule import Schedule
from puller.model.sync import SyncReport
from puller.ops.syncing.brake import Brake
from puller.ops.syncing.daemon import Daemon, Wishes
from puller.ops.syncing.parts import parts_of, rans_of
from puller.ops.syncing.tallies import Tallies
from puller.ops.syncing.turns import Ran, keyed

NOON = datetime(2026, 1, 10, 12, 0, tzinfo=UTC).timestamp()
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def mirror(name: str, schedule: str | None = None, *, line: int = 0) -> Mirror:
    """A mirror of one repository."""
    source, target = Place("registry", f"up.example/{name}"), Place("registry", f"down.example/{name}")
    return Mirror(source, target, schedule=schedule, line=line)


def key(name: str) -> str:
    """What the state knows it by."""
    return f"up.example/{name} > down.example/{name}"


def ran(started: float, ended: float) -> Ran:
    """A run that went well."""
    return Ran(started, ended, True)


@dataclass
class Diary:
    """A state: what ran when."""

    last_runs: dict[str, Ran] = field(default_factory=dict)
    is_full: bool = False

    def lasts(self, keys: Iterable[str]) -> Mapping[str, Ran]:
        return {key: self.last_runs[key] for key in keys if key in self.last_runs}


@dataclass
class World:
    """Time, and all that runs in it. A run takes `takes` seconds and ends as `outcome` says."""

    now: float = NOON
    until: float = NOON + DAY
    zone: tzinfo = UTC
    takes: float = 10.0
    state: Diary = field(default_factory=Diary)
    runs: list[tuple[float, list[str]]] = field(default_factory=list)
    naps: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    tallies: Tallies = field(default_factory=lambda: Tallies(NOON))
    brake: Brake = field(default_factory=Brake)
    outcome: Callable[[Sequence[Mirror]], Exception | SyncReport | None] = lambda _: None
    during: Callable[[], Awaitable[object]] | None = None
    at: dict[float, Callable[[], object]] = field(default_factory=dict)
    reread: Callable[[], Sequence[Mirror]] = tuple
    wishes: Wishes | None = None
    mirrors: tuple[Mirror, ...] = ()

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds
        for time in sorted(self.at):
            if time <= self.now:
                self.at.pop(time)()
        if self.now >= self.until:
            assert self.wishes is not None
            self.wishes.stop()
        await anyio.lowlevel.checkpoint()

    async def run_once(self, mirrors: Sequence[Mirror]) -> SyncReport:
        started = self.now
        self.runs.append((started, [one.source.name.partition("/")[2] for one in mirrors]))
        if self.during is not None:
            await self.during()
        self.now += self.takes
        end = self.outcome(mirrors)
        if isinstance(end, Exception):
            raise end
        report = end or SyncReport("run", "sync.yml", started, self.now)
        if not self.state.is_full:
            parts = parts_of(report, [one for one in keyed(self.mirrors) if one[1] in mirrors])
            self.state.last_runs.update(rans_of(parts, report))
        return report

    def ask_to_reread(self) -> None:
        """As SIGHUP does."""
        assert self.wishes is not None
        self.wishes.reread()

    async def keep_syncing(
        self, *mirrors: Mirror, jitter: float = 0.0, otherwise: Schedule | None = None, grace: float = 30.0
    ) -> None:
        """Run a daemon from `now` until `until`."""
        self.wishes, self.mirrors = Wishes(), mirrors
        daemon = Daemon(
            run_once=self.run_once,
            state=self.state,
            zone=self.zone,
            clock=lambda: self.now,
            sleep=self.sleep,
            random=lambda: 0.5,
            wishes=self.wishes,
            brake=self.brake,
            tallies=self.tallies,
            tell=self.told.append,
            reread=self.reread,
            jitter=jitter,
            grace=grace,
            otherwise=otherwise,
        )
        await daemon.keep_syncing(mirrors)

    def times(self, name: str = "") -> list[str]:
        """When runs began, as clocks in its zone show it; of one repository if it is named."""
        began = [datetime.fromtimestamp(time, self.zone) for time, names in self.runs if not name or name in names]
        return [f"{time:%d. %H:%M}" for time in began]
