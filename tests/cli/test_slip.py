"""Verbs that somebody has typed nearly."""

import pytest

from puller.cli.main import VERBS
from puller.cli.slip import meant
from testregistry import TestRegistry
from tests.cli.conftest import Puller


@pytest.mark.parametrize(
    ("word", "verb"),
    [
        ("cpy", "copy"),
        ("copyy", "copy"),
        ("coyp", "copy"),
        ("cooy", "copy"),
        ("opy", "copy"),
        ("tagss", "tags"),
        ("synch", "sync"),
        ("stauts", "status"),
        ("image", "images"),
        ("id_chain", "id-chain"),
    ],
)
def test_one_slip_is_understood(word: str, verb: str) -> None:
    assert meant(word, VERBS) == verb


@pytest.mark.parametrize("word", ["", "a", "rn", "alpine", "debian:12", "busybox", "python", "cp", "x/copy", "-q", "."])
def test_other_words_are_images(word: str) -> None:
    assert meant(word, VERBS) is None


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_is_a_slip_for_itself(verb: str) -> None:
    assert meant(verb, [verb]) is None


def test_what_is_pulled_in_the_place_of_a_verb_is_told(puller: Puller, registry: TestRegistry) -> None:
    end = puller("cpoy", registry.name("app:1"), "--no-such-option")
    assert end.code == 2
    assert end.err.startswith("cpoy is no verb, and taken for an image to pull: was `puller copy` meant?\n")
    assert "meant" not in puller(registry.name("copy:1"), "--no-such-option").err
