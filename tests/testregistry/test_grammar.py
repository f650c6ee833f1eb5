"""Names, tags, digests: no newline, no blank, no other alphabet gets through (A2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from testregistry.grammar import digest_of, is_digest, is_name, is_tag
from testregistry.target import Target

VALID = [
    (is_name, "library/alpine"),
    (is_name, "a/b-c/d__e/f.g/h---i"),
    (is_tag, "v1.0_x-Y"),
    (is_tag, "_"),
    (is_digest, "sha256:" + "0a" * 32),
    (is_digest, "sha512:" + "0a" * 64),
]


@pytest.mark.parametrize(("check", "text"), VALID)
def test_the_valid_are_taken(check: Callable[[str], bool], text: str) -> None:
    assert check(text)


@pytest.mark.parametrize(("check", "text"), VALID)
@pytest.mark.parametrize("change", ["{}\n", " {}", "{} ", "{}\0", "{}é", "{}٣", ""])
def test_a2_nothing_sticks_to_them(check: Callable[[str], bool], text: str, change: str) -> None:
    assert not check(change.format(text))


@pytest.mark.parametrize("text", ["a/../b", "a/./b", "/a", "a/", "a..b", "a___b", "A", "a" * 256])
def test_names_that_break_the_grammar_are_refused(text: str) -> None:
    assert not is_name(text)


@pytest.mark.parametrize("text", ["sha256:" + "0" * 63, "sha256:" + "A" * 64, "md5:" + "0" * 32, "SHA256:" + "0" * 64])
def test_digests_that_break_the_grammar_are_refused(text: str) -> None:
    assert not is_digest(text)


def test_a_digest_is_the_hash_in_hexadecimal() -> None:
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v2/a/manifests/b/manifests/1", Target("manifest", "a/manifests/b", "1")),
        ("/v2/a/tags/list/tags/list", Target("tags", "a/tags/list")),
        ("/v2/a/blobs/uploads/blobs/uploads/", Target("upload", "a/blobs/uploads", session="")),
        ("/v2/a%2Fb/manifests/1", Target("manifest", "a/b", "1")),
        ("/v2//manifests/1", Target("other")),
        ("/v2/a/manifests/1/2", Target("other")),
    ],
)
def test_the_verb_of_a_path_is_found_from_its_end(path: str, target: Target) -> None:
    assert Target.of_path(path) == target
