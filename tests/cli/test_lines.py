"""Facts of a pull as text for people."""

import pytest

from puller.cli.lines import blob_line, checks_text, pulled_line, short, size_text
from puller.cli.table import aligned
from puller.model.report import BlobReport, Check, PullReport

DIGEST = "sha256:" + "5c2630d8aeeb" + "0" * 52


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (51_400_000, "51.4 MB"),
        (4_000_000_000, "4.0 GB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_sizes_are_in_the_units_registries_count_in(size: int | None, text: str) -> None:
    assert size_text(size) == text


def test_a_digest_is_shown_by_its_first_twelve_digits() -> None:
    assert short(DIGEST) == "5c2630d8aeeb"


@pytest.mark.parametrize(
    ("outcome", "resumed", "words"), [("fetched", 0, "fetched"), ("resumed", 9_100_000, "resumed at 9.1 MB")]
)
def test_a_blob_line_says_how_the_blob_came(outcome: str, resumed: int, words: str) -> None:
    assert outcome in ("fetched", "resumed")
    blob = BlobReport(
        "layer 2",
        DIGEST,
        "x/y",
        19_700_000,
        "resumed" if resumed else "fetched",
        resumed=resumed,
        checks=(Check("digest", DIGEST, DIGEST, passed=True),),
    )
    assert blob_line(blob).split("  ")[-1] == "digest ✓"
    assert f"19.7 MB  {words} " in blob_line(blob)


def test_a_check_that_was_not_made_is_not_ticked() -> None:
    checks = [
        Check("digest", DIGEST, DIGEST, passed=True),
        Check("diff_id", DIGEST, None, None, note="left to unpacking"),
        Check("tarsum", None, None, None, note="none (archive/tar: invalid tar header)"),
    ]
    assert checks_text(checks) == "digest ✓ tarsum: none (archive/tar: invalid tar header)"


def test_control_characters_of_a_reason_are_escaped() -> None:
    assert "\x1b" not in checks_text([Check("tarsum", None, None, None, note="none (\x1b[31m)")])


def test_the_result_line_leaves_out_what_was_nought() -> None:
    layer = BlobReport("layer", DIGEST, "x/y", 10, "reused", reused=10)
    report = PullReport("r", DIGEST, "x/y", (), (layer,), 0.04)
    assert pulled_line(report) == f"pulled r  {DIGEST}  1 layer, 10 B reused, 0.0 s"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert list(aligned([("a", "bb"), ("ccc", "d")], gap=1)) == ["a   bb", "ccc d"]
