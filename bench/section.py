"""How a part of the benchmark is written down: a heading, a table, and what it is held against."""

from collections.abc import Sequence

from bench.contest import Result
from bench.table import megabytes, seconds, table

# The columns that `figures` fills.
FIGURES = ("median s", "best s", "CPU s", "peak MB")


def figures(result: Result) -> tuple[str, ...]:
    """The cells below `FIGURES`."""
    return seconds(result.seconds), seconds(result.best), seconds(result.cpu), megabytes(result.peak)


def section(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]], aim: str) -> str:
    """The table under its heading, the aim below it."""
    return f"### {title}\n\n{table(headers, rows)}\n\n{aim}"


def left_out(title: str, reason: Exception, aim: str) -> str:
    """The same heading over the reason why there are no figures."""
    return f"### {title}\n\nNot measured: {reason}.\n\n{aim}"
