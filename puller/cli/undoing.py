"""Undoing: what `puller undo` does with its words, from the name of a run to an exit code."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
import click

from puller.cli import interrupt
from puller.cli.copying import open_places
from puller.cli.environment import mirror_state_path, time_zone
from puller.cli.failure import gravest
from puller.cli.lines import counted, short, size_text
from puller.cli.options import Access
from puller.cli.placenames import shown
from puller.cli.registries import open_client
from puller.cli.screen import Plain
from puller.cli.syncing import config_in, kind_code
from puller.cli.synclines import facts_text, hints
from puller.cli.table import aligned
from puller.errors import InvalidConfig, PullerError
from puller.mirror.config import Host
from puller.mirror.known import Tombstone, Undoable
from puller.mirror.runlock import only_run
from puller.mirror.state import State
from puller.model.event import Event, PassedOver, Retrying, Traced, Waiting, Warned
from puller.model.text import printable
from puller.ops.copying.local import LocalClaims
from puller.ops.undo import Undone, undo

JOBS = 3
SCHEMA = 1
LEFT = "what is back stays"
_TOLD = Retrying | Waiting | PassedOver | Warned | Traced
MANY = 1 << 20


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one `puller undo`."""

    access: Access
    state: Path | None = None
    config: Path | None = None
    as_json: bool = False

    def folders(self) -> Sequence[Path]:
        """The states that are looked at."""
        if self.state is not None:
            return [self.state]
        if self.config is not None:
            return [mirror_state_path(self.config)]
        base = mirror_state_path(Path("any")).parent
        return sorted(folder for folder in base.iterdir() if folder.is_dir()) if base.is_dir() else []


def list_undoable(words: Words) -> int:
    """Print the runs of which something can be brought back, the latest first."""
    found: list[tuple[Undoable, str]] = []
    for _, state in _states(words):
        _warn(state.warnings)
        configs = {row.run: row.config for row in state.runs(MANY)}
        found += [(one, configs.get(one.run, "")) for one in state.undoable()]
    found.sort(key=lambda pair: (pair[0].at, pair[0].run), reverse=True)
    if words.as_json:
        runs = [asdict(one) | {"config": config or None} for one, config in found]
        click.echo(json.dumps({"schema": SCHEMA, "runs": runs}, indent=2))
    elif not found:
        click.echo("there is nothing to undo")
    else:
        zone = time_zone()
        rows = [("RUN", "WHEN", "PRUNED", "OVERWRITTEN", "CONFIGURATION")]
        for one, config in found:
            when = f"{datetime.fromtimestamp(one.at, UTC).astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
            rows.append((printable(one.run), when, str(one.pruned), str(one.overwritten), printable(config)))
        for line in aligned(rows):
            click.echo(line)
    return 0


def undo_run(run: str, words: Words, *, overwritten: bool) -> int:
    """Bring back what `run` has taken away; the exit code: 0 only if all of it is back.

    Raises InvalidConfig for a run that nobody knows, StoreBusy where another run holds its state.
    """
    folder = _folder_of(run, words)

    async def main() -> tuple[list[Undone], int]:
        with only_run(folder), State.open(folder) as state:
            _warn(state.warnings)
            all_of_it = state.tombstones(run)
            chosen = [one for one in all_of_it if overwritten or one.kind == "pruned"]
            hosts = _hosts(run, words, state) if chosen else {}
            return await _undo(chosen, words, state, hosts), len(all_of_it) - len(chosen)

    done, left = interrupt.run(main, left=LEFT)
    if words.as_json:
        click.echo(json.dumps({"schema": SCHEMA, "run": run, "tags": [one.encode() for one in done]}, indent=2))
    else:
        for line in undo_lines(run, done, left):
            click.echo(line)
    codes = [kind_code(one.error) if one.error is not None else 1 for one in done if not one.is_back]
    return gravest([0, *codes])


def undo_lines(run: str, done: Sequence[Undone], left: int) -> Iterator[str]:
    """A line for each tag, then in sum."""
    rows = []
    for one in done:
        told = facts_text(one.error) if one.outcome == "failed" and one.error is not None else printable(one.why)
        told = told or (f"{size_text(one.fetched)} fetched" if one.fetched else "")
        rows.append((one.outcome, shown(one.target, one.name), short(one.root), told))
    if rows:
        yield from aligned(rows, gap=2)
    yield from hints(one.error for one in done if one.outcome == "failed" and one.error is not None)
    back = sum(one.is_back for one in done)
    if done:
        yield f"{back} of {counted(len(done), 'tag')} back"
    else:
        taken = "pruned" if left else "taken away"
        yield f"run {printable(run)} has {taken} nothing that is not back by now"
    if left:
        yield f"--overwritten also brings back {counted(left, 'tag')} that it moved"


async def _undo(chosen: Sequence[Tombstone], words: Words, state: State, hosts: Mapping[str, Host]) -> list[Undone]:
    screen = Plain(several=True)

    def report(event: Event) -> None:
        if isinstance(event, _TOLD):
            screen.show(event)

    async with open_client(words.access, jobs=JOBS, report=report, hosts=hosts) as client:
        async with open_places(client) as places:
            claims = LocalClaims(places)
            places.borrow_from(claims.lender)
            limiter = anyio.CapacityLimiter(JOBS)
            return await undo(chosen, places=places, state=state, claims=claims, limiter=limiter, report=report)


def _states(words: Words) -> Iterator[tuple[Path, State]]:
    """The states that are looked at, each open until the next one. Of many, one that cannot be read is told of.

    Raises InvalidConfig, StoreError.
    """
    folders = words.folders()
    for folder in folders:
        try:
            state = State.read(folder)
        except PullerError as error:
            if len(folders) == 1:
                raise
            _warn([f"passed over: {error}"])
            continue
        with state:
            yield folder, state


def _folder_of(run: str, words: Words) -> Path:
    """The state that knows a run. Raises InvalidConfig."""
    for folder, state in _states(words):
        if state.tombstones(run) or any(row.run == run for row in state.runs(MANY)):
            return folder
    folders = words.folders()
    where = ", ".join(map(str, folders)) if len(folders) < 3 else f"{len(folders)} states"
    hint = "`puller undo` lists the runs that can be undone; --config or --state says where to look."
    raise InvalidConfig("no such run", where=where or None, got=run, hint=hint)


def _hosts(run: str, words: Words, state: State) -> Mapping[str, Host]:
    """How registries are spoken to: as --config says, else as the configuration of the run does now."""
    if words.config is not None:
        return config_in(words.config).hosts
    config = next((row.config for row in state.runs(MANY) if row.run == run), "")
    if not Path(config).is_absolute():
        return {}
    try:
        return config_in(Path(config)).hosts
    except PullerError as error:
        _warn([f"how registries are to be spoken to is not known: {error}"])
        return {}


def _warn(warnings: Sequence[str]) -> None:
    for text in warnings:
        click.echo(f"warning: {printable(text, limit=2000)}", err=True)
