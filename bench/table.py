"""Tables that read well as they are and are Markdown at the same time."""

from collections.abc import Sequence


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to one width; the first is words, the others are figures and stand to the right."""
    widths = [max(len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]
    rule = ["-" * width if column == 0 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return "\n".join(_line(row, widths) for row in (headers, rule, *rows))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *figures = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in figures)]
    return f"| {' | '.join(cells)} |"


def seconds(value: float) -> str:
    """Hundredths of a second."""
    return f"{value:.2f}"


def megabytes(value: float) -> str:
    """Whole MB (10^6 bytes)."""
    return f"{value / 1e6:.0f}"


def ratio(value: float, other: float) -> str:
    """How many times `other`."""
    return f"{value / other:.2f} ×"
