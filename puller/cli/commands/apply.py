"""`puller apply`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from puller.cli import completing
from puller.cli.options import Access, Verb, registry_options, report_option, state_option, style_options

if TYPE_CHECKING:
    from puller.cli.screen import Style


@click.command("apply", cls=Verb, short_help="Do what stands in a plan, and nothing else.")
@click.argument("file", metavar="PLAN", type=click.Path(path_type=Path), shell_complete=completing.files)
@state_option("What runs remember; else that of the configuration the plan was made of.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Blobs at a time, of up to twice as many images; else 3.")
@report_option("Write what was done (JSON).")
@style_options(quiet="Print only what was changed, and what failed.")
@registry_options
def command(
    file: Path,
    state: Path | None,
    jobs: int | None,
    report: Path | None,
    style: "Style",
    access: Access,
) -> int:
    """Do what `puller plan -o PLAN` has written down, by digest, and nothing else.

    What does not fit any more, because a tag was moved at the target since, is refused, each by itself.
    """
    from puller.cli.syncing import Order, apply_plan

    return apply_plan(Order(file, access, state, report, jobs=jobs, style=style))
