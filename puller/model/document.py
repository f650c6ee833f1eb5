"""The one strict reader for JSON that came from a network, an archive or a disk (THREATS C5–C7).

What `json` lets through and this does not: duplicate keys, NaN and infinities, numbers too large for 64 bits, lone
surrogates, UTF-16, a byte-order mark, and nesting deep enough to exhaust the stack.
"""

import json
import re
from collections import Counter
from itertools import accumulate
from typing import Any

from puller.errors import InvalidManifest

MAX_DEPTH = 64
MAX_BYTES = 4 << 20  # the distribution spec's least upper bound for a manifest
# Of manifests and configs under one name (THREATS C10), which stay in memory while it is worked at.
MAX_DOCUMENTS = 1_000
MAX_TOTAL = 32 << 20  # bytes
MAX_NESTING = 4  # an index of indexes of …
MAX_SIZE = 2**63 - 1  # descriptor.md: size is an int64
_NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)) - set(b'[]{}"'))
_DEEPER = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]", re.ASCII)


def load_document(raw: bytes, *, what: str, limit: int = MAX_BYTES) -> dict[str, Any]:
    """Decode one JSON object. Raises InvalidManifest, naming `what`, for anything else."""
    value = load_value(raw, what=what, limit=limit)
    if not isinstance(value, dict):
        raise InvalidManifest(f"{what} is no JSON object", got=type(value).__name__)
    return value


def load_value(raw: bytes, *, what: str, limit: int = MAX_BYTES) -> Any:
    """Decode any JSON value under the same rules; `limit` is in bytes. Raises InvalidManifest."""
    if len(raw) > limit:
        raise InvalidManifest(f"{what} is too large", wanted=f"at most {limit} bytes", got=len(raw))
    if depth_of(raw) > MAX_DEPTH:
        raise InvalidManifest(f"{what} is nested too deeply", wanted=f"at most {MAX_DEPTH} levels")
    try:
        value = _DECODER.decode(raw.decode("utf-8"))  # given bytes, json would guess at UTF-16
        if _SURROGATE.search(raw):  # UTF-8 itself has none: they come in as escapes only
            _refuse_lone_surrogates(value)
    except (ValueError, RecursionError) as error:
        raise InvalidManifest(f"{what} is not valid JSON", where=str(error)[:200]) from error
    return value


def depth_of(raw: bytes) -> int:
    """How deep `raw` nests at most, counted before anything recurses over it.

    Of broken JSON no less than a parser would see. Only bytes methods, so it takes linear time: a regular expression
    for strings would be slow on long documents, and quadratic on unfinished strings made for it.
    """
    openings = raw.count(b"[") + raw.count(b"{")
    if openings <= MAX_DEPTH:
        return openings
    # Backslashes pair up from the left end of their run: after these two steps every quote begins or ends a string.
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes side by side, once all else is gone, change nothing for what follows them, whichever two they are.
    skeleton = plain.translate(None, _NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
    outside_strings = b"".join(skeleton.split(b'"')[::2])
    return max(accumulate(map(_DEEPER.__getitem__, outside_strings)), default=0)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"duplicate key {counts.most_common(1)[0][0]!r}")
    return result


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("lone surrogate in a string") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _bounded_int(text: str) -> int:
    # The length first: int() of very many digits is slow, and refused by the interpreter in words of its own.
    if len(text) > 20 or not -(2**63) <= int(text) <= MAX_SIZE:
        raise ValueError(f"number does not fit in 64 bits: {text[:40]}")
    return int(text)


def _finite_float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"number out of range: {text[:40]}")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_int=_bounded_int, parse_float=_finite_float
)


def text_of(document: dict[str, Any], key: str, *, what: str, default: str | None = None) -> str:
    """The string under `key`; absent or null gives `default` unless that is None. Raises InvalidManifest."""
    value = document.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise InvalidManifest(f"{what}: {key} must be a string", got=_kind(value))
    return value


def size_of(document: dict[str, Any], key: str, *, what: str) -> int:
    """The size under `key`, in bytes: an integer from 0 to 2^63−1, never a bool or a float. Raises InvalidManifest."""
    value = document.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SIZE:
        raise InvalidManifest(f"{what}: {key} must be a size in bytes", wanted="0 to 2^63-1", got=_kind(value))
    return value


def list_of(document: dict[str, Any], key: str, *, what: str, default: bool = False) -> list[Any]:
    """The list under `key`; with `default`, absent or null gives an empty one. Raises InvalidManifest."""
    value = document.get(key)
    if value is None and default:
        return []
    if not isinstance(value, list):
        raise InvalidManifest(f"{what}: {key} must be a list", got=_kind(value))
    return value


def object_of(document: dict[str, Any], key: str, *, what: str, default: bool = False) -> dict[str, Any]:
    """The object under `key`; with `default`, absent or null gives an empty one. Raises InvalidManifest."""
    value = document.get(key)
    if value is None and default:
        return {}
    if not isinstance(value, dict):
        raise InvalidManifest(f"{what}: {key} must be an object", got=_kind(value))
    return value


def texts_of(document: dict[str, Any], key: str, *, what: str) -> dict[str, str]:
    """The map of strings under `key` (annotations, labels); absent or null: an empty one. Raises InvalidManifest."""
    value = object_of(document, key, what=what, default=True)
    for name, inner in value.items():
        if not isinstance(inner, str):
            raise InvalidManifest(f"{what}: {key} must hold strings only", where=name, got=_kind(inner))
    return value


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {value!r}"[:80]
