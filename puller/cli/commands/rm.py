"""`puller rm`."""

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import graph_option, store_option


@click.command("rm", short_help="Take names away, and free what nothing else needs.")
@click.argument("images", metavar="REF|ID…", nargs=-1, required=True, shell_complete=completing.images)
@store_option
@graph_option
def command(images: tuple[str, ...], store: Path | None, graph: Path | None) -> int:
    """Take names away, and free at once what no other name and no running pull needs.

    Of an image graph, an image goes with its last name, and those below it that have no name and no other child. An
    image is given by its ID only where it has one name at most and no children. One that cannot be removed does not
    stop the others.
    """
    from puller.cli.removing import remove_all

    return remove_all(images, store=store, graph=graph)
