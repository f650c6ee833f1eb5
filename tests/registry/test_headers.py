"""Headers of answers: what is read, what is refused."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import ProtocolViolation
from puller.model.digest import Digest
from puller.registry.headers import (
    ContentRange,
    content_digest,
    content_length,
    content_range,
    link_next,
    media_type,
    retry_after,
    unsatisfied_range,
)

DIGEST = f"sha256:{'ab' * 32}"
OTHER = f"sha256:{'cd' * 32}"


def test_a_content_range_is_read() -> None:
    assert content_range(["bytes 5-9/10"]) == ContentRange(5, 9, 10)


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["bytes 5-9/10", "bytes 5-9/10"],
        ["bytes 0-4/10", "bytes 5-9/10"],
        ["bytes 5-9/10, bytes 5-9/10"],
        ["bytes 5-9/*"],
        ["bytes */10"],
        ["bytes 9-5/10"],
        ["bytes 5-10/10"],
        ["bytes -5/10"],
        ["bytes 5-/10"],
        ["bytes=5-9/10"],
        ["bytes  5-9/10"],
        ["items 5-9/10"],
        ["bytes +5-9/10"],
        ["bytes 5-9/99999999999999999999"],
        ["bytes 5-9/9999999999999999999"],
        ["bytes ٥-٩/10"],
        [""],
    ],
)
def test_n16_any_other_content_range_is_refused(values: list[str]) -> None:
    with pytest.raises(ProtocolViolation, match="Content-Range"):
        content_range(values)


@pytest.mark.parametrize(
    ("values", "total"),
    [(["bytes */10"], 10), ([], None), (["bytes 0-9/10"], None), (["bytes */10"] * 2, None), (["bytes */*"], None)],
)
def test_n17_a_refused_range_tells_the_total(values: list[str], total: int | None) -> None:
    assert unsatisfied_range(values) == total


@pytest.mark.parametrize(
    ("values", "length"), [([], None), (["0"], 0), ([" 12 "], 12), (["12", "12"], 12), ([str(2**63 - 1)], 2**63 - 1)]
)
def test_a_content_length_is_read(values: list[str], length: int | None) -> None:
    assert content_length(values) == length


@pytest.mark.parametrize(
    "values", [["-1"], ["+1"], [""], ["1", "2"], ["1, 1"], [str(2**63)], ["9" * 400], ["1_0"], ["0x10"], ["1.0"], ["²"]]
)
def test_b16_any_other_content_length_is_refused(values: list[str]) -> None:
    with pytest.raises(ProtocolViolation, match="Content-Length"):
        content_length(values)


def test_n22_a_missing_digest_header_is_no_error() -> None:
    assert content_digest([]) is None


def test_n22_the_same_digest_twice_counts_once() -> None:
    assert content_digest([DIGEST, f" {DIGEST}"]) == Digest.parse(DIGEST)


def test_n22_an_unknown_algorithm_says_nothing() -> None:
    assert content_digest(["blake3:" + "ab" * 32]) is None


@pytest.mark.parametrize(
    "values",
    [
        [DIGEST, OTHER],
        [DIGEST, f"sha512:{'ab' * 64}"],
        [f"{DIGEST}, {DIGEST}"],
        [DIGEST.upper()[:7].lower() + DIGEST[7:].upper()],
        ["sha256:abc"],
        ["sha256"],
        [""],
    ],
)
def test_n22_differing_or_malformed_digests_are_refused(values: list[str]) -> None:
    with pytest.raises(ProtocolViolation, match="Docker-Content-Digest"):
        content_digest(values)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, None),
        ("", None),
        (" ; charset=utf-8", None),
        ("application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.index.v1+json"),
        ("Application/JSON; charset=utf-8", "application/json"),
        ("text/html , x", "text/html , x"),
    ],
)
def test_n23_a_media_type_loses_case_and_parameters(value: str | None, wanted: str | None) -> None:
    assert media_type(value) == wanted


NOW = 784_111_777.0  # 06 Nov 1994 08:49:37 GMT, the date RFC 9110 uses


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("1000000000", 1e9),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
        ("Sun Nov  6 08:50:37 1994", 60),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (None, None),
        ("", None),
        ("-1", None),
        ("+5", None),
        ("1e9", None),
        ("1.5", None),
        ("9" * 400, None),
        ("soon", None),
        ("Sun, 99 Nov 1994 08:50:37 GMT", None),
        ("Sun, 06 Nov 1994 08:50:37 +99999999", None),
        ("٣", None),
    ],
)
def test_n7_retry_after_is_seconds_or_a_date_or_nothing(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


def test_n7_a_date_without_zone_is_in_gmt_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert retry_after("Sun Nov  6 08:50:37 1994", NOW) == 60
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text(max_size=40) | st.text("SunMo0123456789 ,:-GMT+", max_size=40))
def test_n7_no_retry_after_raises_or_is_negative(value: str) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([], None),
        (["</v2/_catalog?last=b&n=2>; rel=next"], "/v2/_catalog?last=b&n=2"),
        (['</v2/a/tags/list?last=b,c>; rel="next"'], "/v2/a/tags/list?last=b,c"),
        (['<https://evil/>; rel="prev", </x>; rel="NEXT"'], "/x"),
        (["</a>; rel=prev", "</b>; rel=next"], "/b"),
        (['</a>; rel="first next"'], "/a"),
        (['</a>; title="x, <y>; rel=next"; rel=next'], "/a"),
        (['</a>; title="a \\" ; rel=next"'], None),
        (["</a>; rel=prev; rel=next"], None),
        (['</a>; rel=next; anchor="#other"'], None),
        (["</a>; nofollow; rel=next"], "/a"),
        (["</a> ;rel = next"], "/a"),
        (["</a>; rel=next, </a>; rel=next"], "/a"),
        (["<>; rel=next"], ""),
        (["</a>"], None),
        (["</a>; rel=nextpage"], None),
    ],
)
def test_the_next_page_is_read_from_link_headers(values: list[str], wanted: str | None) -> None:
    assert link_next(values) == wanted


@pytest.mark.parametrize(
    "values",
    [
        ["</a>; rel=next, </b>; rel=next"],
        ["</a>; rel=next", "</b>; rel=next"],
        ["/a; rel=next"],
        ["</a; rel=next"],
        ["</a>; rel=next </b>"],
        ["</a>; =next"],
        ["</a\n>; rel=next"],
        ["<" + "a" * 9000 + ">; rel=next"],
        [",".join(["<a>"] * 65)],
    ],
)
def test_b9_malformed_or_contradicting_links_are_refused(values: list[str]) -> None:
    with pytest.raises(ProtocolViolation):
        link_next(values)


@given(st.lists(st.sampled_from([*'<>;,= "\\', "rel", "next", "/a"]), max_size=20).map("".join))
def test_b9_no_link_raises_anything_else(value: str) -> None:
    with contextlib.suppress(ProtocolViolation):
        link_next([value])
