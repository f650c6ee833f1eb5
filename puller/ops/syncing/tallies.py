"""Tallies: what a daemon counts of its runs. By mirror, never by tag: its size is that of the configuration.

Times are seconds since the epoch, as the daemon's clock has them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from puller.mirror.config import Mirror
from puller.model.event import Event, Settled, Waiting
from puller.model.sync import SyncReport
from puller.ops.syncing.parts import Part, parts_of
from puller.ops.syncing.turns import Ran

MOST_HOSTS = 50  # hosts of signed URLs come and go; the others are counted as one
OTHERS = "other"


@dataclass(slots=True)
class MirrorTally:
    """What is counted of one mirror since the daemon began; of its last runs, also what the state knows from before.

    `failures` counts tags and lists that failed, `failing` those of the last run. `skipped` counts times that were due
    while it still ran, `busy` those at which another process held the state.
    """

    due: float | None = None
    ran: float | None = None
    ended: float | None = None
    succeeded: float | None = None
    is_well: bool | None = None
    well: int = 0
    failed: int = 0
    skipped: int = 0
    busy: int = 0
    failures: int = 0
    failing: int = 0
    images: dict[str, int] = field(default_factory=dict)
    fetched: int = 0
    near: int = 0
    sent: int = 0

    def ran_before(self, ran: Ran | None) -> None:
        """Take over what the state knows."""
        if ran is not None:
            self.ran, self.ended, self.is_well = ran.started, ran.ended, ran.well
            self.succeeded = ran.ended if ran.well else self.succeeded

    def ran_now(self, part: Part, started: float, ended: float) -> None:
        """Count one run."""
        self.ran, self.ended, self.is_well = started, ended, part.is_well
        if part.is_well:
            self.well, self.succeeded = self.well + 1, ended
        else:
            self.failed += 1
        self.failing = len(part.failures)
        self.failures += self.failing
        for item in part.items:
            self.images[item.outcome] = self.images.get(item.outcome, 0) + 1
            if item.carried is not None:
                self.fetched += item.carried.fetched
                self.near += item.carried.near
                self.sent += item.carried.sent


@dataclass(slots=True)
class Tallies:
    """Of one daemon. `beat` is when its loop was last seen going round, `stirred` when the run under way last did
    something; it may be still until `patient` where a quota has it wait. `running` are keys of mirrors, `settled`
    counts the tags that the run is through with, `quotas` what hosts said last of how many pulls are left.
    """

    since: float
    mirrors: dict[str, MirrorTally] = field(default_factory=dict)
    running: tuple[str, ...] = ()
    began: float | None = None
    beat: float = 0.0
    stirred: float = 0.0
    patient: float = 0.0
    runs: int = 0
    seconds: float = 0.0
    refused: int = 0
    settled: int = 0
    quotas: dict[str, int] = field(default_factory=dict)
    requests: dict[str, dict[str, int]] = field(default_factory=dict)

    def of(self, key: str) -> MirrorTally:
        """What is counted of one mirror."""
        return self.mirrors.setdefault(key, MirrorTally())

    def keep(self, keys: Iterable[str]) -> None:
        """Forget mirrors that are no longer there."""
        wanted = set(keys)
        self.mirrors = {key: tally for key, tally in self.mirrors.items() if key in wanted}

    def planned(self, times: Mapping[str, float]) -> None:
        """Note when each is due."""
        for key, due in times.items():
            self.of(key).due = due

    def begin(self, keys: Sequence[str], now: float) -> None:
        """A run begins."""
        self.running, self.began, self.stirred, self.patient, self.settled = tuple(keys), now, now, now, 0

    def stir(self, event: Event, now: float) -> None:
        """Something happened in the run under way."""
        self.stirred = now
        if isinstance(event, Waiting):
            self.patient = max(self.patient, event.until)
        elif isinstance(event, Settled):
            self.settled += 1

    def finish(self) -> None:
        """No run is under way any more."""
        self.running, self.began = (), None

    def count(self, report: SyncReport, mirrors: Sequence[tuple[str, Mirror]]) -> dict[str, Part]:
        """Count a run; each mirror's part of it."""
        started, ended = report.started, max(report.started, report.ended)
        parts = parts_of(report, mirrors)
        for key, part in parts.items():
            self.of(key).ran_now(part, started, ended)
        self.runs += 1
        self.seconds += ended - started
        for host, methods in report.requests.items():
            name = host if host in self.requests or len(self.requests) < MOST_HOSTS else OTHERS
            counted = self.requests.setdefault(name, {})
            for method, number in methods.items():
                counted[method] = counted.get(method, 0) + number
        return parts
