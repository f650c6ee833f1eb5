"""Digests: an allow list of algorithms, exact lengths, lower case; tarsum labels are another type."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import InvalidDigest
from puller.model.digest import HEX_LENGTH, Digest, TarsumDigest
from tests.model.strategies import digests

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

# THREATS A3 and A1's spellings of a hash that is none.
NOT_A_DIGEST = [
    "", ":", "sha256", "sha256:", "sha512:", f"sha256{EMPTY_SHA256}", f":{EMPTY_SHA256}", EMPTY_SHA256,
    "sha256:../../../v2/other/manifests/x", "sha256:..%2f..%2fx", "sha256:../" + EMPTY_SHA256[3:],
    f"SHA256:{EMPTY_SHA256}", f"Sha256:{EMPTY_SHA256}", f"sha256:{EMPTY_SHA256.upper()}",
    f"sha256:{EMPTY_SHA256[:63]}", f"sha256:{EMPTY_SHA256}0", f"sha256: {EMPTY_SHA256[1:]}", f"sha256:{'g' * 64}",
    f"sha256:{'٣' * 64}", f"sha256:{'a' * 63}\n", f"sha256:{EMPTY_SHA256}\n", f"sha256:{EMPTY_SHA256}\0",
    f" sha256:{EMPTY_SHA256}", f"sha256::{EMPTY_SHA256}", f"sha256:{EMPTY_SHA256}:x", f"sha512:{EMPTY_SHA256}",
    f"sha256:{'a' * 128}", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
    f"sha384:{'a' * 96}", f"blake3:{'a' * 64}", f"sha256+b64:{EMPTY_SHA256}", f"sha256-x:{EMPTY_SHA256}",
    f"tarsum.v1+sha256:{EMPTY_SHA256}", f"sha256/x:{EMPTY_SHA256}",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_A_DIGEST)
def test_a3_what_is_no_sha256_or_sha512_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigest):
        Digest.parse(text)


@pytest.mark.parametrize(
    ("algorithm", "hexadecimal"), [("sha256", "beef"), ("md5", "a" * 32), ("sha256", "A" * 64), ("", "a" * 64)]
)
def test_a_digest_is_checked_when_it_is_born(algorithm: str, hexadecimal: str) -> None:
    with pytest.raises(InvalidDigest):
        Digest(algorithm, hexadecimal)


@given(digests)
def test_text_and_value_are_the_same_thing(digest: Digest) -> None:
    assert Digest.parse(str(digest)) == digest


@given(st.binary(max_size=64), st.sampled_from(sorted(HEX_LENGTH)))
def test_the_digest_of_content_is_its_hash(content: bytes, algorithm: str) -> None:
    assert str(Digest.of(content, algorithm)) == f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def test_sha256_is_what_is_meant_where_nothing_is_said() -> None:
    assert str(Digest.of(b"")) == f"sha256:{EMPTY_SHA256}"


def test_content_is_not_hashed_by_an_algorithm_that_is_not_allowed() -> None:
    with pytest.raises(InvalidDigest, match="unknown digest algorithm"):
        Digest.of(b"", "md5")


def test_the_short_form_has_twelve_digits() -> None:
    assert Digest.of(b"").short == "e3b0c44298fc"


def test_an_error_shows_what_it_got_without_passing_control_characters_on() -> None:
    with pytest.raises(InvalidDigest) as refusal:
        Digest.parse("\x1b]52;\x07sha256")
    assert "\\x1b]52;\\x07sha256" in str(refusal.value)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("version", ["tarsum", "tarsum.v1", "tarsum.dev"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_tarsum_label_is_read_and_written(version: str, algorithm: str) -> None:
    text = f"{version}+{algorithm}:{hashlib.new(algorithm, b'x').hexdigest()}"
    tarsum = TarsumDigest.parse(text)
    assert str(tarsum) == text
    assert tarsum.label == f"{version}+{algorithm}"


def test_upper_case_hex_of_a_tarsum_is_read_as_lower_case() -> None:
    assert str(TarsumDigest.parse("tarsum.v1+sha256:" + "AB" * 32)) == "tarsum.v1+sha256:" + "ab" * 32


@pytest.mark.parametrize(
    "text",
    [
        f"sha256:{EMPTY_SHA256}", f"tarsum.v1:{EMPTY_SHA256}", f"tarsum.v2+sha256:{EMPTY_SHA256}",
        f"tarsum.v0+sha256:{EMPTY_SHA256}", f"TarSum.v1+sha256:{EMPTY_SHA256}", f"tarsum.v1+SHA256:{EMPTY_SHA256}",
        "tarsum+md5:d41d8cd98f00b204e9800998ecf8427e", "tarsum.v1+sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
        f"tarsum.v1+sha256:{EMPTY_SHA256[:63]}", f"tarsum.v1+sha512:{EMPTY_SHA256}", "tarsum.v1+sha256:", "",
        f"tarsum.v1+sha256:{EMPTY_SHA256}\n", f"tarsum.v1+sha256: {EMPTY_SHA256[1:]}", "tarsum.v1+sha256:" + "٣" * 64,
    ],
)  # fmt: skip
def test_a_label_that_is_weak_or_unknown_is_no_tarsum(text: str) -> None:
    with pytest.raises(InvalidDigest):
        TarsumDigest.parse(text)


@pytest.mark.parametrize(
    ("version", "algorithm", "hexadecimal"),
    [
        ("tarsum.v9", "sha256", EMPTY_SHA256),
        ("tarsum", "md5", "a" * 32),
        ("tarsum", "sha256", "A" * 64),
        ("tarsum", "sha256", "a"),
    ],
)
def test_a_tarsum_is_checked_when_it_is_born(version: str, algorithm: str, hexadecimal: str) -> None:
    with pytest.raises(InvalidDigest):
        TarsumDigest(version, algorithm, hexadecimal)


def test_a_digest_and_a_tarsum_of_the_same_hash_are_not_the_same() -> None:
    values: set[object] = {Digest.of(b""), TarsumDigest("tarsum.v1", "sha256", EMPTY_SHA256)}
    assert len(values) == 2
