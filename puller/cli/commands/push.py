"""`puller push`."""

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import Access, Verb, graph_option, registry_options, store_option
from puller.model.push import Form


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
@click.option("--jobs", type=click.IntRange(1, 64), default=3, show_default=True, help="Blobs at a time.")
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write what was pushed (JSON)."
)
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one a line.")
@click.option("--quiet", "-q", is_flag=True, help="Print only what was pushed.")
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
    as_json: bool,
    quiet: bool,
    access: Access,
) -> int:
    """Bring an image of the store to a registry: where its name says, or as AS-REF.

    An image of today goes byte for byte, so its digest stays. An image of the graph is made one of today, or signed
    with the store's key as schema 1. What the registry has is not sent again; the name moves last.
    """
    from puller.cli.pushing import Order, push_all
    from puller.ops.push import Manner

    if as_json and quiet:
        raise click.UsageError("--json and --quiet exclude each other")
    order = Order(image, name, all_tags, Manner(form, sparse), jobs, access, graph)
    return push_all(order, store=store, report_file=report, style="json" if as_json else "quiet" if quiet else "people")
