"""`puller load`."""

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import graph_option, store_option


@click.command("load", short_help="Load images from an archive of docker save, podman or skopeo.")
@click.argument("archive", metavar="FILE|-", shell_complete=completing.files)
@store_option
@graph_option
@click.option("--no-retag", is_flag=True, help="Refuse an archive whose names are in use for other images.")
@click.option("--json", "as_json", is_flag=True, help="Print what happens as JSON, one object a line.")
@click.option("--quiet", "-q", is_flag=True, help="Print only what was loaded.")
def command(archive: str, store: Path | None, graph: Path | None, no_retag: bool, as_json: bool, quiet: bool) -> int:
    """Load images from an archive of docker save, podman or skopeo, or from an OCI image layout; - is stdin.

    It may be compressed once (gzip, bzip2, xz, zstd). IDs stay what they are. All images are loaded or none: the whole
    archive is read and verified before anything is changed, and names move last.
    """
    from puller.cli.loading import load_one

    return load_one(
        archive,
        store=store,
        graph=graph,
        retag=not no_retag,
        style="json" if as_json else "quiet" if quiet else "people",
        quiet=quiet,
    )
