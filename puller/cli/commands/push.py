"""`puller push`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from puller.cli import completing
from puller.cli.options import (
    Access,
    Verb,
    graph_option,
    jobs_option,
    registry_options,
    report_option,
    store_option,
    style_options,
)
from puller.model.push import Form

if TYPE_CHECKING:
    from puller.cli.screen import Style


@click.command("push", cls=Verb, short_help="Bring an image of the store to a registry.")
@click.argument("image", metavar="REF|ID", shell_complete=completing.images)
@click.argument("name", metavar="[AS-REF]", required=False, shell_complete=completing.references)
@click.option("--all-tags", is_flag=True, help="Every name that the store has in this repository.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("schema1", "schema2", "oci")),
    help="Of an image of the graph: else schema2. Today's registries refuse schema1.",
)
@click.option("--sparse", is_flag=True, help="Of an index: leave out the images that are not here.")
@store_option
@graph_option
@jobs_option
@report_option("Write what was pushed (JSON).")
@style_options(quiet="Print only what was pushed.")
@registry_options
def command(
    image: str,
    name: str | None,
    all_tags: bool,
    form: Form | None,
    sparse: bool,
    store: Path | None,
    graph: Path | None,
    jobs: int,
    report: Path | None,
    style: "Style",
    access: Access,
) -> int:
    """Bring an image of the store to a registry: where its name says, or as AS-REF.

    An image of today goes byte for byte, so its digest stays. An image of the graph is made one of today, or signed
    with the store's key as schema 1. What the registry has is not sent again; the name moves last.
    """
    from puller.cli.pushing import Order, push_all
    from puller.ops.push import Manner

    order = Order(image, name, all_tags, Manner(form, sparse), jobs, access, graph)
    return push_all(order, store=store, report_file=report, style=style)
