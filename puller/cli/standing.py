"""Standing: how the mirrors of a configuration stand, as `puller status` tells it: from the state, asking nobody."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

import click

from puller.cli.environment import time_zone
from puller.cli.lines import counted
from puller.cli.placenames import placename
from puller.cli.syncing import Order
from puller.cli.synclines import counts_text, facts_text, hints
from puller.cli.table import aligned
from puller.mirror.config import Mirror
from puller.mirror.known import Last, RunRow
from puller.mirror.runlock import Running, running
from puller.mirror.schedule import Schedule
from puller.mirror.state import State
from puller.model.sync import Item, SyncReport, outcomes
from puller.model.text import printable
from puller.ops.syncing.pairs import target_of
from puller.ops.syncing.parts import Part, parts_of
from puller.ops.syncing.turns import Ran, keyed, upcoming

SCHEMA = 1
MANY = 1 << 20
FEW = 20  # failures of one mirror that people are shown


@dataclass(frozen=True, slots=True)
class Standing:
    """One mirror: when it ran last and what became of it, when it is due (None: it has no schedule).

    `part` None: the report of that run is not kept any more. `tags` counts those known at each of its targets.
    """

    key: str
    mirror: Mirror
    last: Last | None
    due: float | None
    run: str | None = None
    part: Part | None = None
    tags: Mapping[str, int] = field(default_factory=dict)

    def encode(self) -> dict[str, object]:
        """Plain data for JSON."""
        part = self.part or Part()
        return {
            "mirror": self.key,
            "source": str(self.mirror.source),
            "target": str(self.mirror.target),
            "line": self.mirror.line,
            "schedule": self.mirror.schedule,
            "last": None if self.last is None else {"started": self.last.started, "ended": self.last.ended},
            "well": None if self.last is None else self.last.well,
            "due": self.due,
            "run": self.run,
            "counts": outcomes(part.items),
            "failures": [{"about": about, "error": dict(error)} for about, error in part.failures],
            "tags": dict(self.tags),
        }


def show_status(order: Order, *, as_json: bool) -> int:
    """Print how all mirrors stand; 0 if the last run of each went well, else 1."""
    config = order.config()
    now, zone = time.time(), time_zone()
    with State.read(order.folder) as state:
        warnings, runs = state.warnings, state.runs(MANY)
        standings = _standings(config.mirrors, state, runs, now, zone)
    held = running(order.folder) if order.folder.is_dir() else None
    is_well = all(one.last is not None and one.last.well for one in standings)
    if as_json:
        document = {
            "schema": SCHEMA,
            "config": order.called,
            "state": str(order.folder),
            "well": is_well,
            "running": None if held is None else {"pid": held.pid, "since": held.since},
            "mirrors": [one.encode() for one in standings],
            "warnings": list(warnings),
        }
        click.echo(json.dumps(document, indent=2))
    else:
        for warning in warnings:
            click.echo(f"warning: {printable(warning)}", err=True)
        for line in status_lines(standings, held, runs, now, zone):
            click.echo(line)
    return 0 if is_well else 1


def status_lines(
    standings: Sequence[Standing], held: Running | None, runs: Sequence[RunRow], now: float, zone: tzinfo
) -> Iterator[str]:
    """A row for each mirror, then what failed, then whether a run is under way."""
    rows = [("MIRROR", "LAST RUN", "RESULT", "TAGS", "NEXT RUN")]
    for one in standings:
        last = "-" if one.last is None else _time(one.last.started, zone)
        due = "-" if one.due is None else "now" if one.due <= now else _time(one.due, zone)
        tags = str(sum(one.tags.values()))
        rows.append((printable(one.key, limit=300).replace(" > ", " → "), last, _result(one), tags, due))
    yield from aligned(rows)
    for one in standings:
        if one.part is not None and one.part.failures:
            yield ""
            yield f"{printable(one.key, limit=300)}:".replace(" > ", " → ")
            yield from (f"  {placename(about)}: {facts_text(error)}" for about, error in one.part.failures[:FEW])
            yield from (f"  {hint}" for hint in hints(error for _, error in one.part.failures[:FEW]))
            if len(one.part.failures) > FEW:
                yield f"  and {len(one.part.failures) - FEW} more; --json shows all"
    yield ""
    if held is not None:
        yield f"A run is under way: {held}."
    elif runs and runs[0].ended is None:
        yield f"No run is under way. The last one, of {_time(runs[0].started, zone)}, did not come to its end."
    else:
        yield "No run is under way."


def report_of(document: Mapping[str, Any]) -> SyncReport | None:
    """The report of a run from plain data, without its transfers; None for what is none."""
    try:
        items = tuple(Item(**{**item, "transfer": None, "carried": None}) for item in document["items"])
        problems = tuple((str(source), dict(error)) for source, error in document["problems"])
        started, ended = float(document["started"]), float(document["ended"])
        return SyncReport(
            str(document["run"]), str(document["config"]), started, ended, items, problems, error=document["error"]
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _standings(
    mirrors: Sequence[Mirror], state: State, runs: Sequence[RunRow], now: float, zone: tzinfo
) -> list[Standing]:
    every = keyed(mirrors)
    names = {row.started: row.run for row in runs}
    parts: dict[str, Mapping[str, Part]] = {}
    found = []
    for key, mirror in every:
        last = state.last(key)
        run = None if last is None else names.get(last.started)
        if run is not None and run not in parts:
            report = report_of(state.report(run) or {})
            parts[run] = {} if report is None else parts_of(report, every)
        part = None if run is None else parts[run].get(key)
        targets = {item.target for item in part.items} if part is not None else set()
        targets |= set() if "*" in mirror.source.name else {target_of(mirror, mirror.source.name, "")}
        tags = {target: len(state.known_at(target)) for target in sorted(targets)}
        found.append(Standing(key, mirror, last, _due(mirror, last, now, zone), run, part, tags))
    return found


def _due(mirror: Mirror, last: Last | None, now: float, zone: tzinfo) -> float | None:
    if mirror.schedule is None:
        return None
    ran = None if last is None else Ran(last.started, last.ended, last.well)
    return upcoming(Schedule.parse(mirror.schedule), ran, now, zone)


def _result(one: Standing) -> str:
    if one.last is None:
        return "never ran"
    if one.part is None:
        return "well" if one.last.well else "failed"
    told = counts_text({k: v for k, v in outcomes(one.part.items).items() if k not in ("out", "failed")})
    failed = len(one.part.failures)
    words = [
        "well" if one.last.well else "failed",
        *([told] if told else []),
        *([counted(failed, "failure")] * bool(failed)),
    ]
    return ": ".join(words[:2]) if len(words) < 3 else f"{words[0]}: {words[1]}, {words[2]}"


def _time(seconds: float, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M}"
