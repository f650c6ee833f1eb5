"""`puller rm`."""

from pathlib import Path

import click

from puller.cli.options import graph_option, store_option


@click.command("rm", short_help="Take names away, and free what nothing else needs.")
@click.argument("images", metavar="REF|ID…", nargs=-1, required=True)
@store_option
@graph_option
def command(images: tuple[str, ...], store: Path | None, graph: Path | None) -> int:
    """Take names away, and free at once what no other name and no running pull needs.

    Of an image graph, an image goes with its last name, and those below it that have no name and no other child. An
    image is given by its ID only where it has one name at most and no children. One that cannot be removed does not
    stop the others.
    """
    from puller.cli import interrupt
    from puller.cli.failure import exit_code, gravest, show
    from puller.cli.lines import counted, size_text
    from puller.cli.rooms import open_store
    from puller.errors import PullerError
    from puller.model.text import printable
    from puller.ops.collect import collect_layers
    from puller.ops.graphs.graph import graph_at
    from puller.ops.removing import Removed, remove
    from puller.ops.unpacking.shelves import shelves_at

    def told(text: str, removed: Removed) -> str:
        parts = []
        if removed.collected is not None:
            freed = counted(len(removed.collected.freed), "blob")
            parts.append(f"{freed}, {size_text(removed.collected.size)} freed")
        if removed.images:
            parts.append(f"{counted(len(removed.images), 'image')}, {size_text(removed.size)} of files removed")
        if removed.kept:
            parts.append(f"the image stays: {removed.kept.replace('the image', 'it', 1)}")
        return printable(f"removed {removed.name or text}  {'; '.join(parts)}", limit=2000)

    async def main() -> int:
        place = await open_store(store)
        old = graph_at(place, graph)
        codes = [0]
        for text in images:
            try:
                removed = await remove(text, place, old)
            except PullerError as error:
                show(error.at(reference=text))
                codes.append(exit_code(error))
                continue
            click.echo(told(text, removed))
            for image_id in removed.images:
                click.echo(f"removed image {image_id}")
            hindrance = None if removed.collected is None else removed.collected.hindrance
            if hindrance is not None:
                show(hindrance)
                codes.append(exit_code(hindrance))
        cleared = await collect_layers(place, shelves_at(place.layout.layers))
        if cleared.freed:
            click.echo(f"removed {counted(len(cleared.freed), 'unpacked layer')}, {size_text(cleared.size)} of files")
        if cleared.hindrance is not None and gravest(codes) == 0:
            show(cleared.hindrance)
            codes.append(exit_code(cleared.hindrance))
        return gravest(codes)

    return interrupt.run(main)
