"""Answers of token servers: what is a token, how long it lives, and which errors the rest becomes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import ProtocolViolation, RateLimited, RegistryError, Unauthorized, Unavailable
from puller.registry.identity.token import MAX_ANSWER, TokenAnswer, read_token


def answer(document: object, status: int = 200) -> TokenAnswer:
    return TokenAnswer(status, {}, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"token": "abc"}, "abc"),
        ({"access_token": "abc"}, "abc"),
        ({"token": "abc", "access_token": "abc"}, "abc"),
        ({"token": "abc", "access_token": "other"}, "abc"),
        ({"token": "", "access_token": "abc"}, "abc"),
        ({"token": None, "access_token": "abc"}, "abc"),
        ({"token": "eyJ.a-b_c~d+e/f=="}, "eyJ.a-b_c~d+e/f=="),
    ],
)
def test_n12_either_field_holds_the_token(document: dict[str, object], text: str) -> None:
    assert read_token(answer(document)).text == text


@pytest.mark.parametrize(
    ("expires_in", "lifetime"),
    [
        (300, 300),
        (60, 60),
        (90.5, 90.5),
        (1, 60),
        (0, 60),
        (-5, 60),
        (12 * 3600, 3600),
        (2**62, 3600),
        (1e30, 3600),
        (None, 60),
        (True, 60),
        (False, 60),
        ("300", 60),
        ([], 60),
    ],
)
def test_b13_a_lifetime_is_kept_within_reason(expires_in: object, lifetime: float) -> None:
    assert read_token(answer({"token": "abc", "expires_in": expires_in})).lifetime == lifetime


def test_b13_a_missing_lifetime_is_a_minute() -> None:
    assert read_token(answer({"token": "abc"})).lifetime == 60


def test_b13_a_number_too_large_for_json_is_refused() -> None:
    with pytest.raises(ProtocolViolation):
        read_token(answer({"token": "abc", "expires_in": 10**30}))


@pytest.mark.parametrize("issued_at", ["2999-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "garbage", 7])
def test_b13_the_token_servers_clock_is_not_believed(issued_at: object) -> None:
    assert read_token(answer({"token": "abc", "expires_in": 300, "issued_at": issued_at})).lifetime == 300


BROKEN = {
    "html": b"<!DOCTYPE html><html>log in</html>",
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "no token": b"{}",
    "empty token": b'{"token": ""}',
    "number": b'{"token": 7}',
    "object": b'{"token": {"a": "b"}}',
    "duplicate keys": b'{"token": "a", "token": "b"}',
    "line feed": b'{"token": "a\\r\\nX-Evil: 1"}',
    "space": b'{"token": "a b"}',
    "null byte": b'{"token": "a\\u0000"}',
    "not ASCII": '{"token": "ä"}'.encode(),
    "too long": b'{"token": "' + b"a" * 40_000 + b'"}',
    "deep": b"[" * 100_000,
    "infinite": b'{"token": "a", "expires_in": Infinity}',
    "too large": b'{"token": "a", "pad": "' + b"x" * MAX_ANSWER + b'"}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_n12_an_answer_without_a_usable_token_is_a_violation(body: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="token"):
        read_token(TokenAnswer(200, {}, body))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Unauthorized),
        (401, Unauthorized),
        (403, Unauthorized),
        (429, RateLimited),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (204, ProtocolViolation),
        (302, ProtocolViolation),
        (307, ProtocolViolation),
        (404, ProtocolViolation),
    ],
)
def test_n12_any_other_status_is_a_typed_error(status: int, kind: type[RegistryError]) -> None:
    with pytest.raises(kind) as caught:
        read_token(answer({"token": "abc"}, status))
    assert type(caught.value) is kind


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_n12_no_body_raises_anything_else(body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_token(TokenAnswer(200, {}, body))


def test_b15_a_token_and_its_answer_do_not_show_themselves() -> None:
    raw = answer({"token": "marker-secret"})
    assert "marker-secret" not in f"{raw!r} {read_token(raw)!r}"
