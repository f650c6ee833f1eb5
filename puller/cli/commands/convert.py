"""`puller convert`."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from puller.cli import completing
from puller.cli.options import graph_option, store_option, style_options

if TYPE_CHECKING:
    from puller.cli.screen import Style


@click.command("convert", short_help="Make an image of today from one of schema 1.")
@click.argument("reference", metavar="REF", shell_complete=completing.images)
@click.option("--to", "form", type=click.Choice(("oci", "docker")), required=True, help="Which media types it gets.")
@click.argument("name", metavar="[NEWREF]", required=False, shell_complete=completing.references)
@click.option("--platform", metavar="OS/ARCH", help="Which image of an index; one for another is refused.")
@style_options(json="Print one JSON object.", quiet="Print only the name and the new ID.")
@store_option
@graph_option
def command(
    reference: str,
    form: Literal["oci", "docker"],
    name: str | None,
    platform: str | None,
    store: Path | None,
    graph: Path | None,
    style: "Style",
) -> None:
    """Make an image of today from one of schema 1 or of an image graph, and print its old IDs and the new ones.

    It has the ID that Docker gives to the same image. It is named NEWREF, or as the old one was, which then has its ID
    only. Layers are kept as they are; one of which the store has no blob is stored uncompressed. An image of today
    changes its media types.
    """
    from puller.cli.saving import convert_one

    for line in convert_one(reference, form, name, platform, store, graph, style=style):
        click.echo(line)
