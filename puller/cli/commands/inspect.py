"""`puller inspect`."""

import sys
from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import graph_option, store_option


@click.command("inspect", short_help="Show an image of the store.")
@click.argument("image", metavar="REF|ID", shell_complete=completing.images)
@click.option("--raw", is_flag=True, help="The manifest or index itself, byte for byte; of a graph image its json.")
@store_option
@graph_option
def command(image: str, raw: bool, store: Path | None, graph: Path | None) -> None:
    """Show an image of the store as JSON: platforms, layers, what was proved of them, where it is unpacked.

    An image is given by name, by digest, or by its ID or the beginning of it, four digits or more.
    """
    import json

    from puller.cli import interrupt
    from puller.cli.rooms import open_graph, open_store
    from puller.ops.graphs.names import find
    from puller.ops.inspect import inspect, raw_document
    from puller.ops.unpacking.shelves import shelves_at

    async def ask() -> bytes:
        place = await open_store(store)
        images = open_graph(place, graph)
        found = await find(image, place, images)
        if raw:
            return await raw_document(place, images, found)
        told = await inspect(place, images, found, shelves_at(place.layout.layers))
        return json.dumps(told, indent=2).encode() + b"\n"

    sys.stdout.buffer.write(interrupt.run(ask))
