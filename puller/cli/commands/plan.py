"""`puller plan`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from puller.cli import completing
from puller.cli.options import (
    Access,
    Verb,
    destination_options,
    locked_option,
    registry_options,
    state_option,
    style_options,
)

if TYPE_CHECKING:
    from puller.cli.screen import Style


@click.command("plan", cls=Verb, short_help="Tell what a sync would do, and why.")
@click.argument("file", metavar="CONFIG", type=click.Path(path_type=Path), shell_complete=completing.files)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PLAN",
    help="Write it down, for `puller apply`.",
)
@click.option("--all", "everything", is_flag=True, help="Also tell of tags that nothing would become of.")
@state_option("What runs remember; else a folder for this file in $XDG_STATE_HOME/puller/mirrors.")
@destination_options
@locked_option
@style_options(json="Print the plan as JSON.", quiet="Print only what failed.")
@registry_options
def command(
    file: Path,
    output: Path | None,
    everything: bool,
    state: Path | None,
    to: str | None,
    scoped: bool,
    locked: Path | None,
    style: "Style",
    access: Access,
) -> int:
    """Tell what `puller sync CONFIG` would do with each tag, and why; and what that takes.

    Nothing is changed. The manifests of what is new are read, to tell of bytes: registries count those as pulls.
    """
    from puller.cli.planning import plan_all
    from puller.cli.syncing import Order

    order = Order(file, access, state, to=to, scoped=scoped, style=style, lock=locked)
    return plan_all(order, output, everything=everything)
