"""`puller import`."""  # noqa: N999  # a verb may be a word of Python

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import graph_option, store_option


@click.command("import", short_help="Make an image of the archive of a root file system.")
@click.argument("source", metavar="FILE|URL|-", shell_complete=completing.files)
@click.argument("reference", metavar="[REF]", required=False, shell_complete=completing.references)
@click.option("--message", "-m", default="", help="The image's comment; else where it is from.")
@click.option("--platform", metavar="OS/ARCH", help="Else linux/<host>.")
@click.option("--digest", metavar="ALGORITHM:HEX", help="Refuse an archive of other bytes.")
@store_option
@graph_option
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Trust the certificate authorities of this PEM file too.",
)
@click.option("--proxy", metavar="URL|env", help="Fetch a URL through this proxy, or those of the environment.")
@click.option("--json", "as_json", is_flag=True, help="Print what happens as JSON, one object a line.")
@click.option("--quiet", "-q", is_flag=True, help="Print only what was imported.")
def command(
    source: str,
    reference: str | None,
    message: str,
    platform: str | None,
    digest: str | None,
    store: Path | None,
    graph: Path | None,
    ca: Path | None,
    proxy: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Make an image of one layer from a tar archive, perhaps compressed: of a file, of stdin (-) or from the web.

    Nothing but --digest says what a URL serves; without it the bytes are taken as they come.
    """
    from puller.cli.loading import Import, import_one
    from puller.cli.screen import Style

    order = Import(source, reference, message=message, platform=platform, digest=digest, ca=ca, proxy=proxy)
    style: Style = "json" if as_json else "quiet" if quiet else "people"
    return import_one(order, store=store, graph=graph, style=style, quiet=quiet)
