"""Judging one stored image: the first thing that does not agree decides. All recorded graphs are in test_reuse."""

from dataclasses import replace

import pytest

from puller.errors import InvalidManifest
from puller.legacy.idchain import id_chain
from puller.legacy.judge import StoredImage, judge, v1_compatibility_of
from puller.legacy.reuse import Look, Verdict
from puller.legacy.v1image import V1Image
from tests.legacy.test_history import BLOB, fold, name_of, text

CHAIN = id_chain(fold(text("b", "a"), text("a")))
BASE = Look("x", CHAIN[0], None)
TOP = Look("y", CHAIN[1], "x")
GOOD = StoredImage("x", BLOB, text("b", "a"))


def test_an_image_whose_facts_give_the_same_strong_id_matches() -> None:
    found = judge(TOP, GOOD)
    assert (found.verdict, found.reason) == (Verdict.MATCHES, f"Validated sha256:{CHAIN[1].strong_id} as y")


def test_an_image_that_is_not_there_is_absent_for_the_reason_given() -> None:
    assert judge(TOP, None).reason == "missing: no such id: y"
    assert judge(TOP, None, missing="unexpected EOF").reason == "missing: unexpected EOF"
    assert judge(TOP, None).verdict is Verdict.ABSENT


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (replace(GOOD, checksum=None), "digest: digest is not set for layer"),
        (replace(GOOD, checksum=f"{BLOB}\n"), "digest: invalid checksum digest format"),
        (replace(GOOD, parent="z"), "parent: z x"),
        (replace(GOOD, parent=""), "parent:  x"),
        (replace(GOOD, v1_compatibility=None, trouble="no such file"), "v1Compatibility: y no such file"),
        (replace(GOOD, v1_compatibility=b"{"), "make config: unexpected end of JSON input"),
        (replace(GOOD, checksum=None, parent="z"), "digest: digest is not set for layer"),
        (replace(GOOD, parent="z", v1_compatibility=b"{"), "parent: z x"),
    ],
)
def test_c14_the_first_fact_that_does_not_agree_is_told(stored: StoredImage, reason: str) -> None:
    found = judge(TOP, stored)
    assert (found.verdict, found.reason) == (Verdict.CLASHES, reason)


def test_c14_a_base_must_have_no_parent() -> None:
    found = judge(BASE, StoredImage("p", BLOB, text("a")))
    assert (found.verdict, found.reason) == (Verdict.CLASHES, "unexpected parent: p")


@pytest.mark.parametrize(
    "stored",
    [replace(GOOD, checksum="sha256:" + "cd" * 32), replace(GOOD, v1_compatibility=text("b", "a", os="plan9"))],
)
def test_c14_other_content_under_the_wanted_id_clashes(stored: StoredImage) -> None:
    found = judge(TOP, stored)
    assert found.verdict is Verdict.CLASHES
    assert found.reason.startswith("digest mismatch: sha256:")


def images(**parents: str) -> dict[str, V1Image]:
    return {name: V1Image.decode(text(name)).replaced(parent=parent, Size=7) for name, parent in parents.items()}


def test_legacy_texts_are_written_from_the_base_upward_with_the_parents_own_name() -> None:
    held = images(c="b", b="a", a="")
    written = v1_compatibility_of("c", held.__getitem__, lambda name: b'{"Id":"old"}' if name == "a" else None)
    assert list(written) == ["b", "c"]
    assert b'"parent":"old"' in written["b"]
    assert b'"parent":"%b"' % name_of("b").encode() in written["c"]
    assert b'"Size":7' in written["c"]


def test_a_text_that_is_kept_is_not_written_again() -> None:
    assert v1_compatibility_of("a", images(a="").__getitem__, lambda name: b"{}") == {}


def test_an_id_with_its_algorithm_is_written_without_it() -> None:
    held = {"a": V1Image.decode(text("a")).replaced(id="sha256:ab")}
    assert v1_compatibility_of("a", held.__getitem__, lambda name: None)["a"].startswith(b'{"id":"ab",')


@pytest.mark.parametrize("parents", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "a"}])
def test_a_cycle_of_parents_is_an_error_and_no_endless_wait(parents: dict[str, str]) -> None:
    with pytest.raises(InvalidManifest, match="own ancestor"):
        v1_compatibility_of("a", images(**parents).__getitem__, lambda name: None)


def test_a_broken_text_of_a_parent_is_an_error_and_no_empty_parent() -> None:
    with pytest.raises(InvalidManifest, match="unexpected end of JSON input"):
        v1_compatibility_of("b", images(b="a").__getitem__, lambda name: b"{" if name == "a" else None)
