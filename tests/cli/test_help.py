"""`--help`: what a verb can do first, how registries are spoken to below."""

from dataclasses import fields

import pytest

from puller.cli.main import VERBS
from puller.cli.options import Access
from tests.cli.conftest import Puller

SPEAKING = ("pull", "push", "tags", "digest", "ping", "login", "unpack", "export", "changes", "mount")


@pytest.mark.parametrize("verb", SPEAKING)
def test_the_options_of_registries_are_a_section_of_their_own_after_those_of_the_verb(
    puller: Puller, verb: str
) -> None:
    text = puller(verb, "--help").out
    own, _, shared = text.partition("\nRegistries:\n")
    assert "\nOptions:\n" in own
    for field in fields(Access):
        name = f"--{field.name.removesuffix('s') if field.name == 'token_hosts' else field.name}".replace("_", "-")
        assert f"  {name}" in shared
        assert f"  {name} " not in own
    assert "--help" in own


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in SPEAKING])
def test_verbs_that_speak_to_no_registry_have_no_such_section(puller: Puller, verb: str) -> None:
    text = puller(verb, "--help").out
    assert ("--token-host" in text) == ("\nRegistries:\n" in text)


def test_logout_asks_no_registry_and_takes_no_word_on_how(puller: Puller) -> None:
    text = puller("logout", "--help").out
    assert "--authfile" in text
    assert "--plain-http" not in text
