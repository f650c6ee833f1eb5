"""`puller sync`."""

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
    report_option,
    state_option,
    style_options,
)
from puller.cli.rhythm import Rhythm, rhythm_options

if TYPE_CHECKING:
    from puller.cli.screen import Style


@click.command("sync", cls=Verb, short_help="Keep places in step with registries.")
@click.argument("file", metavar="CONFIG", type=click.Path(path_type=Path), shell_complete=completing.files)
@state_option("What runs remember; else a folder for this file in $XDG_STATE_HOME/puller/mirrors.")
@click.option("--dry-run", is_flag=True, help="Change nothing, and tell what would be done: as `puller plan`.")
@destination_options
@locked_option
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    help="Blobs at a time, of up to twice as many images; else as the file says, or 3.",
)
@report_option("Write what was done (JSON).")
@style_options(quiet="Print only what was changed, and what failed.")
@click.option("--cluster", metavar="URL", help="Have workers of dask bring the images: tcp://SCHEDULER:8786.")
@rhythm_options
@registry_options
def command(
    file: Path,
    state: Path | None,
    dry_run: bool,
    to: str | None,
    scoped: bool,
    locked: Path | None,
    jobs: int | None,
    report: Path | None,
    style: "Style",
    cluster: str | None,
    rhythm: Rhythm,
    access: Access,
) -> int:
    """Bring what CONFIG names to where it says: what is new, and what has changed.

    CONFIG is a file of puller's own, of regsync, or of skopeo sync. What has not changed costs one HEAD at its source.
    One image that fails stops no other; the exit code is 0 only if all went well.
    """
    from puller.cli.syncing import Order, sync_all

    order = Order(file, access, state, report, to, scoped, jobs, style, rhythm.reports, cluster, locked)
    rhythm.check()
    if rhythm.schedule:
        if dry_run or report is not None:
            raise click.UsageError(
                "--schedule goes with neither --dry-run nor --report; --report-dir keeps one each run"
            )
        from puller.cli.scheduling import sync_by_schedule

        return sync_by_schedule(order, rhythm)
    if dry_run:
        if report is not None:
            raise click.UsageError("--dry-run makes no report; `puller plan -o FILE` writes what would be done")
        from puller.cli.planning import plan_all

        return plan_all(order, None, everything=False)
    return sync_all(order)
