"""Digest texts as the original took them."""

from typing import Any

import pytest

from puller.errors import InvalidDigest
from puller.legacy import olddigest
from tests.legacy.golden import cases

CASES = cases("digest")


def text_of(case: dict[str, Any]) -> str:
    return repr(case["input"])[:40]


@pytest.mark.parametrize("case", CASES, ids=text_of)
def test_what_is_a_digest_is_what_was_recorded_of_the_original(case: dict[str, Any]) -> None:
    text = case["input"]
    if case["error"] is not None:
        with pytest.raises(InvalidDigest) as caught:
            olddigest.validate(text)
        assert caught.value.what == case["error"]
        return
    assert olddigest.validate(text) == text
    assert (olddigest.algorithm(text), olddigest.hexadecimal(text)) == (case["algorithm"], case["hex"])


@pytest.mark.parametrize("case", CASES, ids=text_of)
def test_what_is_a_tarsum_is_what_was_recorded_of_the_original(case: dict[str, Any]) -> None:
    if case["parse_tarsum_error"] is not None:
        with pytest.raises(InvalidDigest) as caught:
            olddigest.parse_tarsum(case["input"])
        assert caught.value.what == case["parse_tarsum_error"]
        return
    found = olddigest.parse_tarsum(case["input"])
    info = {"version": found.version, "algorithm": found.algorithm, "digest": found.digest, "string": str(found)}
    assert info == case["tarsum_info"]


@pytest.mark.parametrize("text", ["", "latest", "junk", "sha256:", ":ab"])
def test_validate_digest_refuses_what_upstream_tests(text: str) -> None:
    with pytest.raises(InvalidDigest):
        olddigest.validate(text)


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"sha256:{EMPTY}", True),
        (f"sha256:{EMPTY.upper()}", False),
        (f"sha256:{EMPTY[:-1]}", False),
        (
            "sha384:38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
            True,
        ),
    ],
)
def test_content_matches_a_digest_letter_for_letter(text: str, expected: bool) -> None:
    assert olddigest.matches(text, b"") is expected


@pytest.mark.parametrize("text", ["tarsum.v1+sha256:ab", "md5:ab", "tarsum+md5:ab"])
def test_d1_a_document_is_never_named_by_a_tarsum_or_a_weak_hash(text: str) -> None:
    with pytest.raises(InvalidDigest):
        olddigest.matches(text, b"")
