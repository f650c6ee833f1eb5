"""`puller inspect`."""

import sys
from pathlib import Path

import click

from puller.cli.options import store_option


@click.command("inspect", short_help="Show an image of the store.")
@click.argument("reference", metavar="REF")
@click.option("--raw", is_flag=True, help="The manifest or index itself, byte for byte.")
@store_option
def command(reference: str, raw: bool, store: Path | None) -> None:
    """Show an image of the store as JSON: platforms, layers, what was proved of them, where it is unpacked."""
    import json

    from puller.cli import interrupt
    from puller.cli.rooms import open_store
    from puller.model.reference import Reference
    from puller.ops.inspect import inspect, raw_document
    from puller.ops.shelves import shelves_at

    name = Reference.parse(reference)

    async def ask() -> bytes:
        place = await open_store(store)
        if raw:
            return await raw_document(place, name)
        return json.dumps(await inspect(place, name, shelves_at(place.layout.layers)), indent=2).encode() + b"\n"

    sys.stdout.buffer.write(interrupt.run(ask))
