"""`puller gc`."""

import math
from pathlib import Path

import click

from puller.cli.options import store_option


def _finite(context: click.Context, option: click.Parameter, days: float) -> float:
    if not math.isfinite(days):  # a range lets both nan and inf through
        raise click.BadParameter(f"{days} is no number of days")
    return days


@click.command("gc", short_help="Free what no name and no running pull needs.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    callback=_finite,
    default=7.0,
    show_default=True,
    help="Age of unfinished blobs to go.",
)
@store_option
def command(dry_run: bool, days: float, store: Path | None) -> None:
    """Free what no name and no running pull needs, and sweep what dead processes left.

    Unfinished blobs wait some days for their next try.
    """
    from puller.cli import interrupt
    from puller.cli.lines import counted, size_text
    from puller.cli.rooms import open_store
    from puller.store.gc import Collected, collect

    async def free() -> Collected:
        return await collect(await open_store(store), dry_run=dry_run, days=days)

    collected = interrupt.run(free)
    for digest in collected.freed:
        click.echo(f"{'would free' if dry_run else 'freed'} {digest}")
    freed, kept = counted(len(collected.freed), "blob"), counted(collected.kept, "blob")
    click.echo(f"{freed}, {size_text(collected.size)} {'to free' if dry_run else 'freed'}; {kept} kept")
    swept = collected.swept
    if swept.ingests:
        blobs = counted(swept.ingests, "unfinished blob")
        click.echo(f"{blobs}, {size_text(swept.size)} {'to sweep' if dry_run else 'swept'}")
