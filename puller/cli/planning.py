"""Planning: what `puller plan` does with its words; plans as text and as files."""

import time
from collections.abc import Iterator
from pathlib import Path

from puller.cli import interrupt
from puller.cli.failure import gravest
from puller.cli.lines import counted, size_text
from puller.cli.logs import unheard_of
from puller.cli.placenames import placename
from puller.cli.reporting import check_report_file
from puller.cli.screen import Screen, Style, screen_for
from puller.cli.syncing import Order, kind_code, listener, opened
from puller.cli.synclines import counts_text, plan_rows
from puller.cli.table import aligned
from puller.cli.whole import write_whole
from puller.errors import InvalidConfig
from puller.mirror.plan import Forecast, Plan
from puller.mirror.state import State
from puller.model.event import Event, Mirrored, Settled, Stumbled, Warned
from puller.model.sync import outcomes
from puller.ops.sync import plan


def plan_all(order: Order, output: Path | None, *, everything: bool) -> int:
    """Print what a sync would do, and why; the exit code. It is written to `output` too, for `puller apply`."""
    config = order.config()
    check_report_file(output, "plan")
    codes = {0}
    with screen_for(order.style, several=True) as screen:
        show = listener(screen, order.style)

        def listen(event: Event) -> None:
            if isinstance(event, Stumbled):
                codes.add(kind_code(event.error))
            if not isinstance(event, Settled | Mirrored):  # nothing is, yet
                show(event)

        async def main() -> Plan:
            with State.read(order.folder) as state:
                for text in state.warnings:
                    listen(Warned(order.called, text))
                async with opened(order, config, state, listen, looks=True) as session:
                    called, places = session.called, session.places
                    return await plan(config, called, places=places, state=state, now=time.time, report=listen)

        warn = unheard_of if order.style == "quiet" else screen.note
        made = interrupt.run(main, warn=warn, left="no plan was made")
        codes |= {kind_code(item.error) for item in made.items if item.error is not None}
        if output is not None:
            _write(output, made.encode())
        _show(made, screen, order.style, everything=everything)
    return gravest(codes)


def _show(made: Plan, screen: Screen, style: Style, *, everything: bool) -> None:
    if style == "json":
        screen.result(made.encode().decode().rstrip("\n"))
        return
    for item in made.items:
        if item.error is not None:
            screen.show(Settled(item))
    if style == "people":
        for line in plan_lines(made, everything=everything):
            screen.result(line)


def plan_lines(made: Plan, *, everything: bool) -> Iterator[str]:
    """A plan as text: a line for each tag of which something becomes, then in sum, then what it takes."""
    rows = plan_rows(made.items, everything=everything)
    if rows:
        yield from aligned(rows)
        yield ""
    counts = outcomes(made.items)
    yield counts_text(counts, counts.get("failed", 0)) or "nothing is selected"
    yield from forecast_lines(made.forecast)


def forecast_lines(forecast: Forecast) -> Iterator[str]:
    """What it takes: `from docker.io: 12 requests, 4 pulls among them, 310.2 MB`, and what is new at each place."""
    for host in sorted(forecast.requests):
        pulls, size = forecast.pulls.get(host, 0), forecast.bytes.get(host, 0)
        asked = counted(forecast.requests[host], "request")
        yield f"from {host}: {asked}, {counted(pulls, 'pull')} among them, {size_text(size)}"
    for place in sorted(forecast.disk):
        yield f"at {placename(place)}: {size_text(forecast.disk[place])} more"
    if forecast.unknown:
        yield f"of {forecast.unknown} it is not known what they take"


def _write(file: Path, raw: bytes) -> None:
    """A file that appears whole or not at all. Raises InvalidConfig."""
    try:
        write_whole(file, raw)
    except OSError as error:
        raise InvalidConfig("the plan cannot be written", where=file, got=error.strerror) from error
