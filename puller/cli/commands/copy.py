"""`puller copy`."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from puller.cli import completing
from puller.cli.options import (
    Access,
    Verb,
    jobs_option,
    platforms_option,
    registry_options,
    report_option,
    store_option,
    style_options,
)

if TYPE_CHECKING:
    from puller.cli.screen import Style


@click.command("copy", cls=Verb, short_help="Copy images between registries, directories, archives and the store.")
@click.argument("source", metavar="SRC", shell_complete=completing.places)
@click.argument("target", metavar="DST", shell_complete=completing.places)
@click.option("--all-tags", is_flag=True, help="Every tag of SRC, under the same tag.")
@platforms_option("Of an index bring this one only; may be repeated.")
@click.option("--all-platforms", is_flag=True, help="Of an index bring all, which is also what happens unasked.")
@click.option("--sparse", "index", flag_value="sparse", help="With --platform: the index stays as it is (the default).")
@click.option(
    "--rewrite-index", "index", flag_value="rewritten", help="With --platform: a new index of these, by its own digest."
)
@click.option(
    "--single", "index", flag_value="single", help="With --platform: the image alone (to docker-archive: the default)."
)
@click.option("--referrers", is_flag=True, help="Bring signatures, attestations and what else refers to it, too.")
@click.option(
    "--verify",
    type=click.Choice(("digest", "deep")),
    default="digest",
    show_default=True,
    help="Deep: also that each layer unpacks to what its image says.",
)
@store_option
@jobs_option
@report_option("Write what was copied (JSON).")
@style_options(quiet="Print only what was copied.")
@registry_options
def command(
    source: str,
    target: str,
    all_tags: bool,
    platforms: tuple[str, ...],
    all_platforms: bool,
    index: Literal["sparse", "rewritten", "single"] | None,
    referrers: bool,
    verify: Literal["digest", "deep"],
    store: Path | None,
    jobs: int,
    report: Path | None,
    style: "Style",
    access: Access,
) -> int:
    """Copy an image, byte for byte: its digest stays, and DST gets its name last.

    \b
    SRC and DST:
      REF, docker://REF          an image of a registry
      oci:DIR[:TAG]              one of a directory, an OCI image layout
      oci-archive:FILE[:TAG]     one of an archive of such a layout
      docker-archive:FILE[:REF]  one of an archive of docker save
      store:REF                  one of the store

    Of a directory or an archive SRC may name @DIGEST, or nothing where it has one image. Without a tag of its own DST
    has that of SRC.
    """
    from puller.cli.copying import Order, copy_all
    from puller.model.sync import Manner

    if platforms and all_platforms:
        raise click.UsageError("--platform and --all-platforms exclude each other")
    if index is not None and not platforms:
        raise click.UsageError(f"--{'rewrite-index' if index == 'rewritten' else index} wants --platform")
    # An archive of docker save has single images only.
    usual: Literal["sparse", "single"] = "single" if platforms and target.startswith("docker-archive:") else "sparse"
    manner = Manner(platforms, index or usual, referrers, verify)
    order = Order(source, target, manner, access, all_tags, jobs)
    return copy_all(order, store=store, report_file=report, style=style)
