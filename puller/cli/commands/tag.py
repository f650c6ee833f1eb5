"""`puller tag`."""

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import graph_option, store_option


@click.command("tag", short_help="Give an image of the store another name.")
@click.argument("image", metavar="REF|ID", shell_complete=completing.images)
@click.argument("name", metavar="NAME", shell_complete=completing.references)
@store_option
@graph_option
def command(image: str, name: str, store: Path | None, graph: Path | None) -> None:
    """Give an image of the store another name; an image that had it loses it.

    An image is given by name, by digest, or by its ID or the beginning of it, four digits or more.
    """
    from puller.cli import interrupt
    from puller.cli.naming import short_names
    from puller.cli.rooms import open_graph, open_store
    from puller.ops.graphs.identity import registry_digest
    from puller.ops.graphs.names import find, rename

    target = short_names().one(name).tagged()

    async def tag() -> str:
        place = await open_store(store)
        images = open_graph(place, graph)
        found = await find(image, place, images)
        await rename(found, target, place, images)
        known_by = found.image_id if found.descriptor is None else await registry_digest(place, found.descriptor)
        return f"{target}  {known_by}"

    click.echo(interrupt.run(tag))
