"""`puller status`."""

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import Access, state_option


@click.command("status", short_help="Say how mirrors stand: their last runs, what failed, when they are due.")
@click.argument("file", metavar="CONFIG", type=click.Path(path_type=Path), shell_complete=completing.files)
@state_option("What runs remember; else the folder of this file in $XDG_STATE_HOME/puller/mirrors.")
@click.option("--to", metavar="PLACE", help="Of skopeo's files: as it was said to sync.")
@click.option("--scoped", is_flag=True, help="Of skopeo's files: as it was said to sync.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(file: Path, state: Path | None, to: str | None, scoped: bool, as_json: bool) -> int:
    """Say how the mirrors of CONFIG stand: their last runs, what failed and why, which tags are there, what is due.

    No registry is asked. The exit code is 0 if the last run of every mirror went well, else 1.
    """
    from puller.cli.standing import show_status
    from puller.cli.syncing import Order

    return show_status(Order(file, Access(), state, to=to, scoped=scoped), as_json=as_json)
