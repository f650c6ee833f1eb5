"""Syncing: what `puller sync` and `puller apply` do with their words, from a file to an exit code.

`opened` and `run_once` are for whoever runs syncs again and again: one client and one state, many runs.
"""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from puller import errors
from puller.cli import interrupt
from puller.cli.environment import mirror_state_path, surroundings
from puller.cli.failure import gravest
from puller.cli.logs import unheard_of
from puller.cli.options import Access
from puller.cli.registries import open_client
from puller.cli.reportdir import ReportDir
from puller.cli.reporting import check_report_file, write_report
from puller.cli.rooms import is_store, open_store
from puller.cli.screen import Screen, Style, screen_for
from puller.contracts.content import ContentStore
from puller.errors import InvalidConfig, InvalidReference, PullerError
from puller.mirror.config import COLON, Config, Mirror, Place
from puller.mirror.formats import read
from puller.mirror.runlock import only_run
from puller.mirror.state import State
from puller.mirror.yamlfile import load
from puller.model.digest import Digest
from puller.model.event import (
    Event,
    Mirrored,
    PassedOver,
    Report,
    Retrying,
    Settled,
    Stumbled,
    Synced,
    Traced,
    Waiting,
    Warned,
)
from puller.model.reference import Reference
from puller.model.sync import SyncReport
from puller.ops.copying.local import LocalCarrier, LocalClaims
from puller.ops.copying.places import Places, Spot
from puller.ops.sync import Run, apply, sync
from puller.ops.syncing.carrier import Carrier
from puller.ops.syncing.parts import note_runs
from puller.ops.syncing.places import Places as Opener
from puller.registry.client import RegistryClient

if TYPE_CHECKING:
    from puller.mirror.lockfile import Lock

MAX_CONFIG = 16 << 20  # bytes
LEFT = "what has arrived stays, and is not brought again"
# What stays for people of the many things that happen on the way.
TOLD = Settled | Stumbled | Mirrored | Synced | Retrying | Waiting | PassedOver | Warned | Traced


@dataclass(frozen=True, slots=True)
class Order:
    """The words of one `puller sync`, `plan` or `apply`. `file` is the configuration, or the plan.

    `jobs` None: as the configuration says. `to` and `scoped` are for files of skopeo. `reports`: where one of each run
    is kept. `cluster` is the address of a scheduler whose workers are to bring the images. `lock` is the file in which
    stands what tags name.
    """

    file: Path
    access: Access
    state: Path | None = None
    report: Path | None = None
    to: str | None = None
    scoped: bool = False
    jobs: int | None = None
    style: Style = "people"
    reports: ReportDir | None = None
    cluster: str | None = None
    lock: Path | None = None

    @property
    def called(self) -> str:
        """The configuration as reports and plans call it."""
        return str(self.file.absolute())

    @property
    def folder(self) -> Path:
        """Where the state is."""
        return self.state or mirror_state_path(self.file)

    def config(self) -> Config:
        """The configuration, in any of the three formats. Raises InvalidConfig with file and line."""
        return self.locked(self.read_lock())[0]

    def read_lock(self) -> "Lock | None":
        """What tags name, where that is not asked for. Raises InvalidConfig."""
        if self.lock is None:
            return None
        from puller.cli.locking import read_lock

        return read_lock(self.lock)

    def locked(self, lock: "Lock | None") -> tuple[Config, list[str]]:
        """The configuration as far as it is locked, and warnings of what is not."""
        to = None
        if self.to is not None:
            from puller.mirror.skopeofile import destination  # only now: files of puller's own say it themselves

            to = destination(self.to)
        raw = read_bounded(self.file, MAX_CONFIG)
        config = read(raw, str(self.file), to, scoped=self.scoped, environment=surroundings())
        for mirror in config.mirrors if self.scoped else ():
            if mirror.target.kind == "oci" and ":" in mirror.target.name:  # of a registry with a port
                raise InvalidConfig(COLON, where=f"{self.file}:{mirror.line}", got=str(mirror.target))
        if lock is None:
            return config, []
        from puller.ops.syncing.locked import locked_config

        return locked_config(config, lock)


@dataclass(frozen=True, slots=True)
class Session:
    """What runs share: the registries, the places, who brings images, and what is remembered."""

    config: Config
    called: str
    client: RegistryClient
    places: Opener
    carrier: Carrier
    state: State
    report: Report

    def run(self) -> Run:
        """A new run."""
        client = self.client
        return Run(
            new_run_name(time.time()),
            self.called,
            time.time,
            left=lambda place: client.pulls_left(Reference.parse(place)),
            requests=lambda: client.requests,
        )


@asynccontextmanager
async def opened(
    order: Order, config: Config, state: State, report: Report, *, looks: bool = False
) -> AsyncIterator[Session]:
    """All that runs of `config` need, until the block ends. Raises InvalidConfig for settings that are no good.

    `looks`: nothing is to be brought, so no store and no directory is made or written to.
    """
    jobs, targets = order.jobs or config.jobs, config.targets

    async def store(folder: str) -> ContentStore:
        path = Path(folder) if folder else None
        if looks and not is_store(path):
            from puller.store.memory import MemoryStore  # seldom needed

            return MemoryStore()
        return await open_store(path)

    async with open_client(order.access, jobs=jobs, report=report, hosts=config.hosts, targets=targets) as client:
        async with Places(client, stores=store, looks=looks) as places:
            claims = LocalClaims(places, noted=partial(_noted, state))
            places.borrow_from(
                lambda registry, digest: claims.lender(registry, digest) or state.lender(registry, digest)
            )
            opener = _locked(order, places, report)
            if order.cluster is None:
                carrier = LocalCarrier(places, claims=claims, jobs=jobs, report=report)
                yield Session(config, order.called, client, opener, carrier, state, report)
                return
            from puller.cli.crew import Crew, open_crew  # not everybody has installed what it needs

            crew = Crew(order.cluster, order.access, config.hosts, jobs, targets)
            async with open_crew(crew, places, claims, report) as spread:
                yield Session(config, order.called, client, opener, spread, state, report)


def _locked(order: Order, places: Places, report: Report) -> Opener:
    """The places that a run looks at: with a lock, their sources have what is in that."""
    lock = order.read_lock()
    if lock is None:
        return places
    from puller.ops.syncing.locked import LockedPlaces

    with suppress(InvalidConfig):  # a daemon reads the file when it is told to: it may be wrong by now
        for text in order.locked(lock)[1]:
            report(Warned(order.called, text))
    return LockedPlaces(places, lock)


def _noted(state: State, digest: Digest, place: str) -> None:
    """Remember where a registry has a blob, for runs to come."""
    repository = Spot.parse(place).repository
    if repository is not None and place == repository.name:
        state.lends(repository.registry, digest, repository.repository)


async def run_once(session: Session, only: Sequence[Mirror] | None = None) -> SyncReport:
    """One run over all mirrors, or over `only` some. Raises StoreError where the state cannot be begun."""
    return await sync(
        session.config,
        session.run(),
        places=session.places,
        carrier=session.carrier,
        state=session.state,
        report=session.report,
        only=only,
    )


def sync_all(order: Order) -> int:
    """One run; the exit code. Its report is written however it ends."""

    async def work(session: Session) -> SyncReport:
        report = await run_once(session)
        note_runs(session.state, session.config.mirrors, report)
        return report

    return _run(order, order.config(), work)


def apply_plan(order: Order) -> int:
    """Do what stands in a plan; the exit code. Registries are spoken to as its configuration says."""
    from puller.mirror.plan import MAX_BYTES, Plan  # only now: `sync` has none

    plan = Plan.decode(read_bounded(order.file, MAX_BYTES), str(order.file))
    made_of = replace(order, file=Path(plan.config))

    async def work(session: Session) -> SyncReport:
        return await apply(
            plan,
            session.run(),
            places=session.places,
            carrier=session.carrier,
            state=session.state,
            report=session.report,
        )

    return _run(made_of, config_in(made_of.file), work)


def config_in(file: Path) -> Config:
    """A configuration of any kind, where it makes no difference where to: a file of skopeo's does not say.

    Raises InvalidConfig.
    """
    from puller.mirror.skopeofile import is_skopeo

    raw = read_bounded(file, MAX_CONFIG)
    to = Place("oci", str(file.absolute().parent)) if is_skopeo(load(raw, str(file), aliases=True)) else None
    return read(raw, str(file), to, scoped=to is not None, environment=surroundings())


def _run(order: Order, config: Config, work: Callable[[Session], Awaitable[SyncReport]]) -> int:
    check_report_file(order.report)
    if order.reports is not None:
        order.reports.check()
    reports: list[SyncReport] = []
    with screen_for(order.style, several=True) as screen:
        show = listener(screen, order.style)

        def listen(event: Event) -> None:
            if isinstance(event, Synced):
                reports.append(event.report)
            show(event)

        async def main() -> int:
            with only_run(order.folder), State.open(order.folder) as state:
                for text in state.warnings:
                    listen(Warned(order.called, text))
                async with opened(order, config, state, listen) as session:
                    return code_of(await work(session))

        try:
            return interrupt.run(main, warn=unheard_of if order.style == "quiet" else screen.note, left=LEFT)
        finally:
            if reports:
                write_report(order.report, reports[-1].encode())
                if order.reports is not None:
                    order.reports.write(reports[-1])


def listener(screen: Screen, style: Style) -> Report:
    """Shows what happens to images and lists; of single blobs people see that they flow, and only programs more."""

    def listen(event: Event) -> None:
        if style == "json":
            screen.show(event)
            return
        screen.flow(event)
        if isinstance(event, TOLD):
            screen.show(event)

    return listen


def code_of(report: SyncReport) -> int:
    """The exit code of a run: 0 only if all went well, else that of the gravest failure."""
    failures = [item.error for item in report.items if item.error is not None]
    failures += [error for _, error in report.problems]
    failures += [report.error] if report.error is not None else []
    return gravest(map(kind_code, failures))


def kind_code(error: Mapping[str, object]) -> int:
    """The exit code of an error that stands in a report, as `failure.exit_code` has it."""
    kind = getattr(errors, str(error.get("error", "")), PullerError)
    if issubclass(kind, errors.VerificationError | errors.LayerError | errors.ContentCorrupt):
        return 3
    return 2 if issubclass(kind, InvalidConfig | InvalidReference) else 1


def read_bounded(file: Path, limit: int) -> bytes:
    """All of a file that somebody names, which is not to be endless. Raises InvalidConfig."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(limit + 1)
    except OSError as error:
        raise InvalidConfig("the file cannot be read", where=file, got=error.strerror) from error
    if len(raw) > limit:
        raise InvalidConfig("the file is too large", where=file, wanted=f"at most {limit} bytes")
    return raw


def new_run_name(now: float) -> str:
    """A name for a run: it sorts by time, and no two are alike."""
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
