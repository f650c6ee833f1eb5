"""Errors: every one says what, where, wanted and got, and gathers its context on the way up."""

import copy
import inspect
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller import errors
from puller.errors import (
    ConnectionLost,
    DigestMismatch,
    InputError,
    InvalidReference,
    LayerError,
    PullerError,
    RateLimited,
    RegistryError,
    StoreError,
    Unavailable,
    VerificationError,
)
from puller.model.digest import Digest
from puller.model.reference import Reference

TREE = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, PullerError)]
TRUNKS = (InputError, VerificationError, RegistryError, StoreError, LayerError)


def test_an_error_says_what_where_wanted_got_context_and_what_to_do_in_that_order() -> None:
    error = DigestMismatch(
        "content hashes to something else",
        where="byte 5",
        wanted="sha256:aa",
        got="sha256:bb",
        hint="Try again.",
        attempts=2,
        host="registry.example",
        phase="layer 3",
        digest="sha256:aa",
        reference="app:1",
    )
    assert str(error) == (
        "content hashes to something else (byte 5), wanted sha256:aa, got sha256:bb, "
        "reference app:1, digest sha256:aa, phase layer 3, host registry.example, attempts 2. Try again."
    )


def test_what_is_not_known_is_not_said() -> None:
    assert str(PullerError("it broke")) == "it broke"
    assert PullerError("it broke").facts() == {"error": "PullerError", "what": "it broke"}


def test_nothing_and_zero_are_not_the_same() -> None:
    error = PullerError("size differs", wanted=0, got="", where=0, attempts=0)
    assert str(error) == "size differs (0), wanted 0, attempts 0"
    assert error.facts() == {"error": "PullerError", "what": "size differs", "where": 0, "wanted": 0, "attempts": 0}


def test_context_is_added_on_the_way_up_and_the_first_to_know_is_right() -> None:
    error = PullerError("it broke", host="first.example")
    assert error.at(host="second.example", phase="manifest") is error
    assert (error.host, error.phase) == ("first.example", "manifest")
    error.at(phase=None, digest=None)
    assert (error.phase, error.digest) == ("manifest", None)


def test_zero_attempts_are_known_and_never_overwritten() -> None:
    assert PullerError("it broke", attempts=0).at(attempts=3).attempts == 0


def test_context_of_any_type_is_kept_as_text_and_numbers_as_numbers() -> None:
    error = PullerError("it broke").at(reference=Reference.parse("app:1"), digest=Digest.of(b""), attempts=3)
    assert error.reference == "docker.io/library/app:1"
    assert error.digest == str(Digest.of(b""))
    assert error.attempts == 3


@pytest.mark.parametrize("name", ["url", "what", "retryable", "args", "__class__"])
def test_nothing_but_the_known_context_can_be_added(name: str) -> None:
    with pytest.raises(TypeError, match="no context of an error"):
        PullerError("it broke").at(**{name: "x"})


def test_facts_are_plain_data() -> None:
    error = DigestMismatch(
        "differs", wanted=Digest.of(b"a"), got=Digest.of(b"b"), where=17, hint="Try again.", attempts=1
    )
    assert json.loads(json.dumps(error.facts())) == {
        "error": "DigestMismatch",
        "what": "differs",
        "where": 17,
        "wanted": str(Digest.of(b"a")),
        "got": str(Digest.of(b"b")),
        "hint": "Try again.",
        "attempts": 1,
    }


@given(st.text(), st.text(), st.text(), st.text())
def test_c22_no_part_of_an_error_reaches_a_terminal_raw(what: str, where: str, got: str, host: str) -> None:
    error = PullerError(what, where=where, wanted=host, got=got, host=host, hint="Try again.")
    assert str(error).isprintable()
    assert all(value.isprintable() for value in error.facts().values() if isinstance(value, str))


def test_c22_an_escape_sequence_is_shown_as_text() -> None:
    assert str(PullerError("refused", got="\x1b]52;c;x\x07\r\n")) == "refused, got \\x1b]52;c;x\\x07\\x0d\\x0a"


def test_one_long_value_does_not_push_the_others_out() -> None:
    error = PullerError("it broke", where="w" * 5000, got="g" * 5000, host="registry.example", hint="Try again.")
    assert str(error).endswith("…, host registry.example. Try again.")
    assert len(str(error)) < 1000
    assert len(str(error.facts()["got"])) < 500


def test_an_error_survives_a_process_border_whole() -> None:
    error = RateLimited("slow down", wanted="patience", host="registry.example", attempts=5)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is RateLimited
        assert str(twin) == str(error)
        assert twin.facts() == error.facts()


def test_bad_input_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="no name"):
        raise InvalidReference("no name")


@pytest.mark.parametrize("error", TREE)
def test_every_error_hangs_on_one_of_five_trunks(error: type[PullerError]) -> None:
    assert sum(issubclass(error, trunk) for trunk in TRUNKS) == (0 if error is PullerError else 1)


@pytest.mark.parametrize("error", TREE)
def test_every_error_stands_in_the_drawing_and_has_a_sentence_of_its_own(error: type[PullerError]) -> None:
    assert error.__name__ in (errors.__doc__ or "").replace(",", " ").split()
    assert error.__doc__
    assert error.__doc__ != PullerError.__doc__ or error is PullerError


def test_the_drawing_names_no_error_that_is_not_there() -> None:
    drawing = (errors.__doc__ or "").partition("PullerError\n")[2].partition("\n\n")[0]
    names = {word.strip(",)") for word in drawing.split() if word[0].isupper()}
    assert names == {cls.__name__ for cls in [*TREE, ValueError]} - {"PullerError"}


def test_only_what_may_pass_by_itself_is_tried_again() -> None:
    assert {error for error in TREE if error.retryable} == {RateLimited, Unavailable, ConnectionLost}


@pytest.mark.parametrize("error", [e for e in TREE if issubclass(e, VerificationError)])
def test_wrong_bytes_are_never_asked_for_again(error: type[PullerError]) -> None:
    assert not error.retryable
