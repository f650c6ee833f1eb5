"""Tables that are text and Markdown at once."""

from bench.table import megabytes, ratio, seconds, table


def test_columns_line_up_with_words_left_and_figures_right() -> None:
    assert table(("program", "s"), [("puller", "0.50"), ("x", "10.25")]) == "\n".join(
        [
            "| program |     s |",
            "| ------- | ----: |",
            "| puller  |  0.50 |",
            "| x       | 10.25 |",
        ]
    )


def test_figures_are_rounded_as_they_are_read() -> None:
    assert (seconds(1.004), megabytes(99_600_000), ratio(1.0, 2.0)) == ("1.00", "100", "0.50 ×")
