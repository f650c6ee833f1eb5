"""`puller save`."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from puller.cli import completing
from puller.cli.options import graph_option, platform_option, store_option, style_options

if TYPE_CHECKING:
    from puller.cli.screen import Style


@click.command("save", short_help="Write images as one archive that docker load reads.")
@click.argument("references", metavar="REF…", nargs=-1, required=True, shell_complete=completing.images)
@click.option("--output", "-o", metavar="FILE|-", required=True, help="Where to; - is stdout.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("docker", "oci")),
    default="docker",
    help="docker: what every docker load reads, old and new; oci: an OCI image layout.",
)
@style_options(
    json="Say as JSON what was saved; on stderr where stdout is taken.", quiet="Say nothing where all is well."
)
@platform_option
@store_option
@graph_option
def command(
    references: tuple[str, ...],
    output: str,
    form: Literal["docker", "oci"],
    platform: str | None,
    store: Path | None,
    graph: Path | None,
    style: "Style",
) -> None:
    """Write images as one archive that docker load reads: the same bytes each time, what they share only once.

    REF is a name, a digest, an ID or the beginning of one; a repository without tag means all its tags. Images of an
    image graph keep their IDs for `puller load` and for Docker before 1.10. In the OCI form an index is saved whole, or
    the one image that --platform chooses. An image for another platform than --platform says is refused.
    """
    from puller.cli.saving import save_all

    save_all(references, output, form, platform, store, graph, style=style)
