"""`puller gc`."""

import math
from pathlib import Path

import click

from puller.cli.options import graph_option, store_option


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
    help="Age of unfinished and damaged blobs to go.",
)
@store_option
@graph_option
def command(dry_run: bool, days: float, store: Path | None, graph: Path | None) -> int:
    """Free what no name and no running pull needs, and sweep what dead processes left.

    Unfinished blobs wait some days for their next try, damaged ones that were set aside for a look at them. Images of
    an image graph stay, those without a name as well, as Docker kept them: `puller rm` removes one by its ID.
    """
    from puller.cli import interrupt
    from puller.cli.failure import exit_code, show
    from puller.cli.lines import counted, size_text
    from puller.cli.rooms import open_graph, open_store
    from puller.ops.collect import Cleared, collect_layers
    from puller.ops.removing import sweep_graph
    from puller.ops.unpacking.shelves import shelves_at
    from puller.store.gc import Collected, collect

    async def free() -> tuple[list[str], Cleared, Collected]:
        place = await open_store(store)
        async with place.room_to_remove():
            trees = await sweep_graph(open_graph(place, graph), dry_run=dry_run)
            cleared = await collect_layers(place, shelves_at(place.layout.layers), dry_run=dry_run)
            return trees, cleared, await collect(place, dry_run=dry_run, days=days)

    trees, cleared, collected = interrupt.run(free)
    for image_id in trees:
        click.echo(f"{'would remove' if dry_run else 'removed'} what is left of image {image_id}")
    for driver, layer in cleared.freed:
        click.echo(f"{'would free' if dry_run else 'freed'} unpacked layer {driver}/{layer}")
    if cleared.freed:
        word = "to free" if dry_run else "freed"
        click.echo(f"{counted(len(cleared.freed), 'unpacked layer')}, {size_text(cleared.size)} of files {word}")
    for digest in collected.freed:
        click.echo(f"{'would free' if dry_run else 'freed'} {digest}")
    freed, kept = counted(len(collected.freed), "blob"), counted(collected.kept, "blob")
    click.echo(f"{freed}, {size_text(collected.size)} {'to free' if dry_run else 'freed'}; {kept} kept")
    swept = collected.swept
    kinds = (("unfinished", swept.ingests, swept.size), ("damaged", swept.quarantined, swept.quarantined_size))
    for kind, number, size in kinds:
        if number:
            click.echo(f"{counted(number, f'{kind} blob')}, {size_text(size)} {'to sweep' if dry_run else 'swept'}")
    hindrance = collected.hindrance or cleared.hindrance
    if hindrance is None:
        return 0
    show(hindrance)
    return exit_code(hindrance)
