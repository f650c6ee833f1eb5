"""Scheduling: what `puller sync --schedule` does: the life of a daemon, from its configuration to SIGTERM.

A client, its logins and the screen are those of one run: what months bring up is not kept, and what has changed on the
machine since is seen.
"""

import asyncio
import random
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import click

from puller.cli.environment import time_zone
from puller.cli.lines import counted
from puller.cli.logs import shown, unheard_of
from puller.cli.rhythm import GRACE, Rhythm
from puller.cli.screen import screen_for
from puller.cli.syncing import LEFT, Order, listener, opened, run_once
from puller.errors import InvalidConfig, PullerError
from puller.mirror.config import Config, Mirror
from puller.mirror.runlock import only_run
from puller.mirror.schedule import Schedule
from puller.mirror.state import State
from puller.model.event import Event, Synced
from puller.model.reference import Reference
from puller.model.sync import SyncReport
from puller.model.text import printable
from puller.ops.syncing.brake import Brake
from puller.ops.syncing.daemon import Daemon, Wishes
from puller.ops.syncing.parts import note_runs
from puller.ops.syncing.tallies import Tallies
from puller.ops.syncing.turns import Ran, keyed, turns_of
from puller.registry.client import RegistryClient

FEW = 5  # mirrors named in one line
CROWD = 128  # images that a cluster is given at a time: as many as a run looks at


@dataclass(frozen=True, slots=True)
class Remembered:
    """The state on disk, read anew for each question: others run by hand, set it aside, or bring it back."""

    folder: Path

    def lasts(self, keys: Iterable[str]) -> Mapping[str, Ran]:
        """See daemon.Memory."""
        with State.read(self.folder) as state:
            found = {key: state.last(key) for key in keys}
        return {key: Ran(last.started, last.ended, last.well) for key, last in found.items() if last is not None}


class Scheduled:
    """One daemon: the configuration as it was read last, and what it counts."""

    def __init__(self, order: Order, rhythm: Rhythm) -> None:
        self.order = order
        self.otherwise = None if rhythm.every is None else _interval(rhythm.every)
        self.config = self._read()
        self.tallies = Tallies(time.time())
        self.brake = Brake()

    def reread(self) -> Sequence[Mirror]:
        """The mirrors as the file says now. Raises InvalidConfig; then all stays as it was."""
        self.config = self._read()
        return self.config.mirrors

    async def once(self, mirrors: Sequence[Mirror]) -> SyncReport:
        """One run of some mirrors. Raises StoreBusy where another process runs with this state."""
        order, config = self.order, self.config
        with screen_for(order.style, several=True) as screen:
            show = unheard_of if order.style == "quiet" else screen.note
            listen = listener(screen, order.style)

            def hear(event: Event) -> None:
                self.tallies.stir(event, time.time())
                if isinstance(event, Synced):
                    self._keep(event.report)
                listen(event)

            with shown(show), only_run(order.folder), State.open(order.folder) as state:
                for text in state.warnings:
                    screen.note(f"warning: {text}")
                async with opened(order, config, state, hear) as session:
                    jobs = CROWD if order.cluster is not None else order.jobs or config.jobs
                    carrier = self.brake.on(session.carrier, jobs=jobs)
                    report = await run_once(replace(session, carrier=carrier), mirrors)
                    self._look_at_quotas(session.client, report)
                try:
                    note_runs(state, config.mirrors, report, mirrors)
                except PullerError as error:  # what was brought is there all the same
                    tell(f"warning: when these mirrors ran cannot be remembered: {error}")
                return report

    def _read(self) -> Config:
        config = self.order.config()
        turns = turns_of(config.mirrors, self.otherwise)
        if not turns:
            hint = "Write `schedule: every 6h` into the file, or give --every 6h."
            raise InvalidConfig("no mirror has a schedule", where=self.order.file, hint=hint)
        left = [key for key, _ in keyed(config.mirrors) if key not in {turn.key for turn in turns}]
        if left:
            more = f" and {len(left) - FEW} more" if len(left) > FEW else ""
            tell(f"without a schedule or --every, so never run here: {', '.join(left[:FEW])}{more}")
        return config

    def _look_at_quotas(self, client: RegistryClient, report: SyncReport) -> None:
        """What the sources have said of pulls that are left; one question for each host, answered from memory."""
        sources = {item.source.partition("/")[0]: item.source for item in report.items if item.source}
        found = {host: client.pulls_left(Reference.parse(source)) for host, source in sources.items()}
        self.tallies.quotas.update({host: left for host, left in found.items() if left is not None})

    def _keep(self, report: SyncReport) -> None:
        if self.order.reports is None:
            return
        try:
            self.order.reports.write(report)
        except PullerError as error:
            tell(f"warning: {error}")


def _interval(text: str) -> Schedule:
    """The schedule of mirrors that have none. Raises InvalidConfig."""
    try:
        return Schedule.parse(f"every {text}")
    except InvalidConfig as error:
        raise InvalidConfig("no interval", where="--every", wanted="as in 90m, 6h or 2d", got=text[:80]) from error


def sync_by_schedule(order: Order, rhythm: Rhythm) -> int:
    """Run mirrors when they are due, until SIGTERM; the exit code. Raises InvalidConfig for what cannot begin."""
    scheduled = Scheduled(order, rhythm)
    if scheduled.order.reports is not None:
        scheduled.order.reports.check()
    interrupted = asyncio.run(_live(scheduled, rhythm))
    if interrupted:
        raise KeyboardInterrupt(LEFT)
    return 0


async def _live(scheduled: Scheduled, rhythm: Rhythm) -> bool:
    """The life of a daemon; whether SIGINT ended it."""
    wishes, interrupts = Wishes(), []

    def interrupt() -> None:
        interrupts.append(True)
        wishes.stop()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, wishes.stop)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGHUP, wishes.reread)
    daemon = Daemon(
        run_once=scheduled.once,
        state=Remembered(scheduled.order.folder),
        zone=time_zone(),
        clock=time.time,
        sleep=anyio.sleep,
        random=random.random,
        wishes=wishes,
        brake=scheduled.brake,
        tallies=scheduled.tallies,
        tell=tell,
        reread=scheduled.reread,
        jitter=rhythm.jitter or 0.0,
        grace=GRACE if rhythm.grace is None else rhythm.grace,
        otherwise=scheduled.otherwise,
    )
    async with AsyncExitStack() as stack:
        if rhythm.listen is not None:
            from puller.cli.metering import pages
            from puller.web.server import Listen, serving

            shown_pages = pages(scheduled.tallies, under_way=lambda: scheduled.brake.under_way, clock=time.time)
            address = await stack.enter_async_context(serving(Listen.parse(rhythm.listen), shown_pages))
            tell(f"listening on http://{address}: {' '.join(shown_pages)}")
        number = len(turns_of(scheduled.config.mirrors, scheduled.otherwise))
        tell(f"{counted(number, 'mirror')} by the clock of {daemon.zone}")
        await daemon.keep_syncing(scheduled.config.mirrors)
    return bool(interrupts)


def tell(line: str) -> None:
    """Say what the daemon does, on stderr: what runs bring goes to stdout. That nobody reads it ends no daemon."""
    with suppress(OSError):
        click.echo("\n".join(printable(one, limit=2000) for one in line.splitlines()), err=True)
