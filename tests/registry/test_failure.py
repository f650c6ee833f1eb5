import json

import pytest

from puller.errors import NotFound, ProtocolViolation, RateLimited, RegistryError, Unauthorized, Unavailable
from puller.registry.failure import failed


def body(*errors: object) -> bytes:
    return json.dumps({"errors": errors}).encode()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorized), (403, Unauthorized), (404, NotFound), (410, NotFound), (429, RateLimited),
        (500, Unavailable), (502, Unavailable), (503, Unavailable), (504, Unavailable), (408, Unavailable),
        (400, ProtocolViolation), (405, ProtocolViolation), (409, ProtocolViolation), (501, ProtocolViolation),
        (101, ProtocolViolation), (204, ProtocolViolation), (205, ProtocolViolation), (226, ProtocolViolation),
        (304, ProtocolViolation), (206, ProtocolViolation), (999, ProtocolViolation),
    ],
)  # fmt: skip
def test_n33_every_status_has_its_error(status: int, kind: type[RegistryError]) -> None:
    assert type(failed(status, b"", what="tags", host="r.test")) is kind


def test_the_words_of_the_registry_are_in_the_error() -> None:
    error = failed(404, body({"code": "NAME_UNKNOWN", "message": "no such name"}), what="manifest 1", host="r.test")
    assert str(error).startswith("manifest 1: not found, got HTTP 404: NAME_UNKNOWN no such name, host r.test")


@pytest.mark.parametrize(
    ("what", "told"), [("manifest 1", "puller tags"), ("tags", "puller tags"), ("blob 0123", "tell its owner")]
)
def test_what_is_not_found_comes_with_a_way_out(what: str, told: str) -> None:
    assert told in failed(404, b"", what=what, host="r.test").hint


def test_a_401_asks_whether_the_name_is_right() -> None:
    assert "Is the name right?" in str(failed(401, b"", what="manifest 1", host="r.test"))


def test_a_401_at_a_login_is_about_the_user_name_and_password() -> None:
    error = failed(401, b"", what="login", host="r.test")
    assert "does not take this user name and password" in error.what
    assert "name right" not in error.hint


@pytest.mark.parametrize(("plain", "told"), [(True, "--ca FILE"), (False, "")])
def test_a_400_without_tls_may_come_from_a_server_that_speaks_tls(plain: bool, told: str) -> None:
    assert told in failed(400, b"", what="manifest 1", host="r.test", plain=plain).hint
    assert bool(failed(400, b"", what="manifest 1", host="r.test", plain=plain).hint) is plain


def test_c22_control_characters_of_the_registry_are_escaped() -> None:
    error = failed(400, body({"code": "X\r\n", "message": "\x1b]52;c;aGk=\x07 \u202egnp"}), what="x", host="r.test")
    assert str(error).isprintable()
    assert str(error.facts()["got"]).isprintable()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"<html>gateway</html>", b"[]", b'{"errors": 5}', b'{"errors": [5, null, {"code": 5}]}', b"\xff\xfe",
        b'{"errors": [' + b"[" * 50_000, b'{"a": 1, "a": 2}', b'{"errors": NaN}', b'"' + b"x" * 70_000 + b'"',
    ],
)  # fmt: skip
def test_c7_a_body_of_another_form_is_left_out(raw: bytes) -> None:
    assert failed(500, raw, what="x", host="r.test").got == "HTTP 500"


def test_many_and_long_messages_are_cut() -> None:
    errors = [{"code": "X", "message": "m" * 5000}] * 500
    assert len(str(failed(400, body(*errors), what="x", host="r.test"))) < 800


def test_a_registry_that_takes_no_uploads_is_told_of_as_read_only() -> None:
    assert "read-only" in failed(405, b"", what="upload of 0123456789ab", host="h.example").hint
    assert failed(405, b"", what="manifest 1", host="h.example").hint == ""
