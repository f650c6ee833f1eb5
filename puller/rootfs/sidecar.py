"""Sidecar: the alterations of one tree, as lines of JSON in a file beside it. Its form: docs/layers.md, "Sidecar"."""

import base64
import binascii
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

from puller.errors import ContentCorrupt, InvalidManifest, LimitExceeded
from puller.model.alteration import MOST_EXAMPLES, Alteration, Altered, What
from puller.model.document import load_document, text_of
from puller.model.text import printable
from puller.rootfs.failure import tree_error
from puller.rootfs.name import shown

_CHUNK: Final = 64 << 10
_KEPT: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # no planted pipe is waited for
_LONGEST: Final = 4 << 20  # bytes of one line; the largest attribute takes an eighth of a MiB
MOST: Final = 256 << 20  # bytes of one layer's: two million paths, and a bound for whoever reads it into memory
_WHATS: Final[dict[str, What]] = {what: what for what in get_args(What)}


class SidecarWriter:
    """Writes alterations to `fd` as they come, and counts them. `add` is a Report. The descriptor stays the caller's.

    Nothing is synced: the file counts for something only once its tree does. Raises NoSpace, StoreUnusable, and
    LimitExceeded beyond `most` bytes: attributes that are left out, all zeros, compress a thousandfold (THREATS E9).
    """

    def __init__(self, fd: int, *, most: int = MOST) -> None:
        self._fd = fd
        self._room = most
        self._lines: list[bytes] = []
        self._waiting = 0  # bytes
        self._counts: dict[tuple[str, str], int] = {}
        self._examples: dict[tuple[str, str], list[str]] = {}

    def add(self, alteration: Alteration, /) -> None:
        """Keep one more."""
        kind = (alteration.what, alteration.reason)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        examples = self._examples.setdefault(kind, [])
        if len(examples) < MOST_EXAMPLES:
            examples.append(printable(shown(alteration.path) or "/"))
        line = encode(alteration)
        self._room -= len(line)
        if self._room < 0:
            raise LimitExceeded("too much that this tree cannot hold as the layer says", where=shown(alteration.path))
        self._lines.append(line)
        self._waiting += len(line)
        if self._waiting >= _CHUNK:
            self._flush()

    def finish(self) -> tuple[Altered, ...]:
        """Write what waits. Returns what it all came to, in order of the thing altered and the reason."""
        self._flush()
        return tuple(Altered(*kind, count, tuple(self._examples[kind])) for kind, count in sorted(self._counts.items()))

    def _flush(self) -> None:
        rest = memoryview(b"".join(self._lines))
        self._lines.clear()
        self._waiting = 0
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            raise tree_error(error, b"") from error


def read_sidecar(source: Path | int) -> Iterator[Alteration]:
    """The alterations in a file, in the order they were written; of a descriptor from its start, and it stays open.

    Raises ContentCorrupt for anything that is no whole line of the right form: sidecars come to be by a rename, so
    nothing in one is ever half written. Raises OSError where it cannot be opened.
    """
    fd = os.dup(source) if isinstance(source, int) else os.open(source, _KEPT)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ContentCorrupt("a sidecar that is no file")
        file.seek(0)
        number = 0
        while line := file.readline(_LONGEST):
            number += 1
            yield _decoded(line, number)


def encode(alteration: Alteration) -> bytes:
    """One line; text that is no UTF-8 is in base64, under a key that says so."""
    members = {
        **_bytes_member("path", alteration.path),
        "what": alteration.what,
        **_bytes_member("value", alteration.value.encode(errors="surrogateescape")),
        "reason": alteration.reason,
    }
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"


def _bytes_member(key: str, value: bytes) -> dict[str, str]:
    try:
        return {key: value.decode()}
    except UnicodeDecodeError:
        return {f"{key}_base64": base64.b64encode(value).decode()}


def _decoded(line: bytes, number: int) -> Alteration:
    try:
        if not line.endswith(b"\n"):
            raise ValueError("it does not end")
        document = load_document(line, what="an alteration", limit=_LONGEST)
        what = _WHATS.get(text_of(document, "what", what="an alteration"))
        reason = text_of(document, "reason", what="an alteration")
        if what is None:
            raise ValueError("it says nothing known")
        value = _bytes_of(document, "value").decode(errors="surrogateescape")
        path = _bytes_of(document, "path")
        if b"\0" in path or b".." in path.split(b"/"):
            raise ValueError("a path that is none")
        return Alteration(path, what, value, reason)
    except (ValueError, InvalidManifest, binascii.Error) as error:
        raise ContentCorrupt("a damaged line in a sidecar", where=f"line {number}", got=str(error)) from error


def _bytes_of(document: dict[str, Any], key: str) -> bytes:
    plain, coded = document.get(key), document.get(f"{key}_base64")
    if isinstance(plain, str) and coded is None:
        return plain.encode()
    if isinstance(coded, str) and plain is None:
        return base64.b64decode(coded, validate=True)
    raise ValueError(f"no {key}, or two")
