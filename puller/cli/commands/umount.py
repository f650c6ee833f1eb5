"""`puller umount`."""

from pathlib import Path

import click

from puller.cli.options import graph_option, store_option


@click.command("umount", short_help="Take away what mount has shown.")
@click.argument("target", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@store_option
@graph_option
def command(target: Path, store: Path | None, graph: Path | None) -> None:
    """Take away what `puller mount` has shown at DIR, of the store or of an image graph."""
    from anyio import to_thread

    from puller.cli import interrupt
    from puller.cli.rooms import open_graph, open_store
    from puller.ops.mounting import hide
    from puller.ops.unpacking.shelves import shelves_at

    async def main() -> None:
        place = await open_store(store)
        books = shelves_at(place.layout.layers).mounts, open_graph(place, graph).mounts
        await to_thread.run_sync(hide, target, *books)

    interrupt.run(main)
