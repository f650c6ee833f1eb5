"""Faults read from a JSON file, for the registry run by hand; the format is told in `testregistry.__main__`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from testregistry import faults
from testregistry.fault import Fault

# What each fault takes by position after the digest, under the name it has in the file.
_POSITIONAL: dict[str, tuple[str, ...]] = {
    "status": ("code",),
    "redirect": ("location",),
    "wrong_range": ("wrong",),
    "content_encoding": ("coding",),
    "body": ("raw",),
    "swap": ("other",),
}
_MAKERS: dict[str, Callable[..., Fault]] = {
    name: getattr(faults, name) for name in faults.__all__ if name not in ("Fault", "Match", "answer")
}
_BYTES = ("raw", "body", "block")


class FaultFileInvalid(ValueError):
    """The file is no list of faults as they are documented; the message says where."""


def parse_faults(text: str) -> list[Fault]:
    """Read a fault file's text. Raises FaultFileInvalid."""
    try:
        entries = json.loads(text)
    except ValueError as exc:
        raise FaultFileInvalid(f"no JSON: {exc}") from exc
    if not isinstance(entries, list):
        raise FaultFileInvalid("the file must hold a list")
    return [_parse(entry, at) for at, entry in enumerate(entries)]


def _parse(entry: Any, at: int) -> Fault:
    if not isinstance(entry, dict):
        raise FaultFileInvalid(f"entry {at}: must be an object")
    fields = {key: _value(key, value) for key, value in entry.items()}
    name = fields.pop("fault", None)
    maker = _MAKERS.get(str(name))
    if maker is None:
        raise FaultFileInvalid(f"entry {at}: no such fault: {name!r}; there are {', '.join(sorted(_MAKERS))}")
    digest = fields.pop("digest", None)
    wanted = _POSITIONAL.get(str(name), ())
    if missing := [key for key in wanted if key not in fields]:
        raise FaultFileInvalid(f"entry {at}: {name} needs {', '.join(missing)}")
    try:
        return maker(digest, *(fields.pop(key) for key in wanted), **fields)
    except (TypeError, ValueError) as exc:
        raise FaultFileInvalid(f"entry {at}: {name}: {exc}") from exc


def _value(key: str, value: Any) -> Any:
    return value.encode() if key in _BYTES and isinstance(value, str) else value
