"""`puller images`."""

import json
from pathlib import Path

import click

from puller.cli.options import graph_option, store_option


@click.command("images", short_help="List what the store holds.")
@store_option
@graph_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--no-trunc", "whole", is_flag=True, help="Whole IDs and digests.")
def command(store: Path | None, graph: Path | None, as_json: bool, whole: bool) -> int:
    """List what the store holds: name, ID, digest, platforms, size; exit code 3 where something is damaged.

    Images of the graph follow that have no name, and on which no other image stands.
    """
    from puller.cli import interrupt
    from puller.cli.lines import size_text
    from puller.cli.rooms import open_graph, open_store
    from puller.cli.table import aligned
    from puller.model.text import printable
    from puller.ops.images import Held, images
    from puller.store.naming import REPAIR

    async def ask() -> list[Held]:
        place = await open_store(store)
        return await images(place, open_graph(place, graph))

    def plain(one: Held) -> str:
        root = one.descriptor
        facts = {"name": one.name, "kind": one.kind, "image_id": one.image_id}
        facts |= {"digest": None if one.digest is None else str(one.digest)}
        facts |= {"media_type": None if root is None else root.media_type}
        return json.dumps(facts | {"platforms": one.platforms, "size": one.size, "damaged": one.damaged})

    def row(one: Held) -> tuple[str, ...]:
        marks = [*one.platforms, "damaged"] if one.damaged else one.platforms
        platforms = printable(", ".join(marks)) or "-"
        image_id = one.image_id or "-"
        digest = "-" if one.digest is None else str(one.digest)
        if not whole:
            image_id, digest = (text.rpartition(":")[2][:12] for text in (image_id, digest))
        name = "<none>" if one.name is None else printable(one.name)
        return name, image_id, digest, platforms, size_text(one.size)

    held = interrupt.run(ask)
    table = aligned([("NAME", "ID", "DIGEST", "PLATFORMS", "SIZE"), *map(row, held)])
    for line in map(plain, held) if as_json else table:
        click.echo(line)
    damaged = {one.kind for one in held if one.damaged}
    if "content" in damaged:
        click.echo(f"puller: a manifest or config is damaged. {REPAIR}", err=True)
    if "graph" in damaged:
        click.echo("puller: an image of the graph is damaged or gone: see `puller graph check`.", err=True)
    return 3 if damaged else 0
