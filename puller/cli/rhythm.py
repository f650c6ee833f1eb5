"""Rhythm: the options of a sync that goes on by its schedule."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from puller.cli.quantities import Seconds
from puller.cli.reportdir import KEEP, ReportDir

GRACE = 30.0


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Whether a sync goes on by its `schedule`, and how; times in seconds.

    `every` is the interval of mirrors that have no schedule, as in `6h`. `report_dir` and `keep_reports` hold for a
    single run, too.
    """

    schedule: bool = False
    every: str | None = None
    jitter: float | None = None
    grace: float | None = None
    listen: str | None = None
    report_dir: Path | None = None
    keep_reports: int | None = None

    @property
    def reports(self) -> ReportDir | None:
        """Where reports are kept."""
        return None if self.report_dir is None else ReportDir(self.report_dir, self.keep_reports or KEEP)

    def check(self) -> None:
        """Raises UsageError for words that mean nothing together."""
        own = {"--every": self.every, "--jitter": self.jitter, "--grace": self.grace, "--listen": self.listen}
        if not self.schedule:
            for name, value in own.items():
                if value is not None:
                    raise click.UsageError(f"{name} goes with --schedule")
        if self.keep_reports is not None and self.report_dir is None:
            raise click.UsageError("--keep-reports goes with --report-dir")


def rhythm_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--schedule` and what goes with it, given to the function as `rhythm`."""

    @click.option("--schedule", is_flag=True, help="Go on, and run each mirror when its schedule says, until SIGTERM.")
    @click.option("--every", metavar="TIME", help="With --schedule: for mirrors that have none, as in 6h.")
    @click.option(
        "--jitter", type=Seconds(), metavar="TIME", help="With --schedule: put off all runs by a random part of it."
    )
    @click.option(
        "--grace",
        type=Seconds(),
        metavar="TIME",
        help="With --schedule: how long images on their way may take at SIGTERM; else 30s.",
    )
    @click.option(
        "--listen", metavar="HOST:PORT", help="With --schedule: serve /metrics and /healthz, as in 127.0.0.1:9090."
    )
    @click.option(
        "--report-dir",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Keep one report (JSON) of each run there.",
    )
    @click.option(
        "--keep-reports", type=click.IntRange(1, 100_000), metavar="N", help=f"How many of them; else {KEEP}."
    )
    @wraps(function)
    def with_rhythm(*arguments: Any, **words: Any) -> Any:
        rhythm = Rhythm(**{field.name: words.pop(field.name) for field in fields(Rhythm)})
        return function(*arguments, rhythm=rhythm, **words)

    return with_rhythm
