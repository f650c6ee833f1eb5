"""The registry's refusals: one exception that carries status, OCI error codes and headers. Texts are our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from testregistry.answer import Answer, json_answer

Detail: TypeAlias = Mapping[str, object] | None


class Refusal(Exception):
    """A request the registry turns down; `answer()` is what goes over the wire (distribution-spec, "Error Codes")."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: Detail = None,
        *,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.headers = headers
        self.errors: list[dict[str, object]] = [_entry(code, message, detail)]

    def answer(self) -> Answer:
        return json_answer(self.status, {"errors": self.errors}, *self.headers)


def _entry(code: str, message: str, detail: Detail) -> dict[str, object]:
    entry: dict[str, object] = {"code": code, "message": message}
    if detail is not None:
        entry["detail"] = dict(detail)
    return entry


def name_invalid(name: str) -> Refusal:
    return Refusal(400, "NAME_INVALID", "the repository name breaks the grammar", {"name": name})


def name_unknown(name: str) -> Refusal:
    return Refusal(404, "NAME_UNKNOWN", "this registry has no such repository", {"name": name})


def digest_invalid(digest: str, message: str = "the digest is malformed or of an unknown algorithm") -> Refusal:
    return Refusal(400, "DIGEST_INVALID", message, {"digest": digest})


def blob_unknown(digest: str) -> Refusal:
    return Refusal(404, "BLOB_UNKNOWN", "the repository has no such blob", {"digest": digest})


def manifest_unknown(reference: str) -> Refusal:
    return Refusal(404, "MANIFEST_UNKNOWN", "the repository has no such manifest", {"reference": reference})


def manifest_invalid(message: str, detail: Detail = None) -> Refusal:
    return Refusal(400, "MANIFEST_INVALID", message, detail)


def manifest_too_large(limit: int) -> Refusal:
    return Refusal(413, "SIZE_INVALID", "the manifest is larger than this registry takes", {"limit": limit})


def references_unknown(digests: list[str]) -> Refusal:
    """One error for each digest a pushed manifest names and the repository lacks, in document order."""
    refusal = Refusal(404, "MANIFEST_BLOB_UNKNOWN", "")
    refusal.errors = [
        _entry("MANIFEST_BLOB_UNKNOWN", "the manifest names content this repository lacks", {"digest": digest})
        for digest in digests
    ]
    return refusal


def upload_unknown(session: str) -> Refusal:
    return Refusal(404, "BLOB_UPLOAD_UNKNOWN", "no such upload is under way", {"session": session})


def upload_invalid(message: str, *, status: int = 400, headers: tuple[tuple[str, str], ...] = ()) -> Refusal:
    return Refusal(status, "BLOB_UPLOAD_INVALID", message, headers=headers)


def size_invalid(wanted: int, got: int) -> Refusal:
    return Refusal(400, "SIZE_INVALID", "the length does not match the content", {"wanted": wanted, "got": got})


def unauthorized(challenge: str | None) -> Refusal:
    headers = () if challenge is None else (("WWW-Authenticate", challenge),)
    return Refusal(401, "UNAUTHORIZED", "authentication is required", headers=headers)


def unsupported(message: str, *, status: int = 405, allow: str | None = None) -> Refusal:
    headers = () if allow is None else (("Allow", allow),)
    return Refusal(status, "UNSUPPORTED", message, headers=headers)


def not_found() -> Refusal:
    return Refusal(404, "UNSUPPORTED", "no such endpoint")


def page_invalid(value: str) -> Refusal:
    return Refusal(400, "UNSUPPORTED", "n must be a number that is not negative", {"n": value})
