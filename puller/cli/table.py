"""Table: rows of text under one another."""

from collections.abc import Iterator, Sequence


def aligned(rows: Sequence[Sequence[str]], *, gap: int = 3) -> Iterator[str]:
    """The rows as lines, every column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield (" " * gap).join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
