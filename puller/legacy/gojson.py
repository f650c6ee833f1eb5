"""JSON as Go of 2015 reads and writes it, to the byte (LEGACY.md b.4): what image IDs are hashes of.

Theory of operation. Python's scanner accepts exactly Go's grammar once NaN is refused, so it judges and decodes; raw
bytes travel through it as lone surrogates, which become U+FFFD just as Go makes of them. What must keep its spelling
(top-level values, times) is sliced out of the text that is known to be well-formed.
"""

import json
import re
from typing import Final, TypeAlias

from puller.errors import InvalidManifest
from puller.legacy.gosyntax import END, syntax_error
from puller.legacy.gotext import go_text, whole
from puller.model.document import depth_of

# Go had no bound. Deeper texts are refused, typed, before anything recurses over them.
MAX_DEPTH: Final = 256


class Number(str):
    """A number as it was written: 1.50 stays 1.50."""

    __slots__ = ()


class Pairs(tuple["Pair", ...]):
    """An object: every pair in its order, duplicates kept."""

    __slots__ = ()


Node: TypeAlias = "bool | str | Number | bytes | list[Node] | Pairs | None"  # bytes: text of a value, left as it is
Pair: TypeAlias = tuple[str, Node]
Member: TypeAlias = tuple[str, bytes]

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(_STRING + rb'|[^" \t\r\n]+', re.DOTALL)
_PIECE = re.compile(_STRING + rb'|[{}\[\],:]|[^"{}\[\],: \t\r\n]+', re.DOTALL)
_BRACKET = re.compile(_STRING + rb"|[{}\[\]]", re.DOTALL)
_KEY = re.compile(rb"[ \t\r\n,]*(" + _STRING + rb")[ \t\r\n]*:[ \t\r\n]*", re.DOTALL)
_SCALAR = re.compile(_STRING + rb"|[^{}\[\],\" \t\r\n]+", re.DOTALL)
_SPACE = b" \t\r\n"
_UNSAFE = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}  # Go 1.5; \b and \f came with 1.22
_RAW_ESCAPES: Final = (
    (b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"),
)  # fmt: skip


def load(raw: bytes) -> Node:
    """Decode one value and nothing after it. Raises InvalidManifest, `what` being the sentence of encoding/json."""
    _check_depth(raw)
    try:
        return _node(_DECODER.decode(raw.decode("utf-8", "surrogateescape")))
    except ValueError:
        raise InvalidManifest(syntax_error(raw) or "invalid JSON") from None


def first_value(raw: bytes) -> bytes:
    """The text of the first value of a stream; what follows it is not looked at, as by a Decoder of Go.

    Raises InvalidManifest, with `unexpected EOF` for a value cut short and `EOF` where there is none.
    """
    _check_depth(raw)
    text = raw.decode("latin-1")  # one character a byte, so that positions are those of the bytes
    start = len(raw) - len(raw.lstrip(_SPACE))
    if start == len(raw):
        raise InvalidManifest("EOF")
    try:
        _, end = _DECODER.raw_decode(text, start)
    except ValueError:
        found = syntax_error(raw, trailing=False)
        raise InvalidManifest("unexpected EOF" if found in (END, None) else str(found)) from None
    return raw[start:end]


def members(raw: bytes) -> list[Member]:
    """The members of an object: key decoded, value as written. Duplicates are kept; anything else has no members.

    `raw` must be well-formed: `load` says whether it is.
    """
    start = len(raw) - len(raw.lstrip(_SPACE))
    found: list[Member] = []
    if raw[start : start + 1] != b"{":
        return found
    position = start + 1
    while match := _KEY.match(raw, position):
        end = _value_end(raw, match.end())
        found.append((_unquote(match[1]), raw[match.end() : end]))
        position = end
    return found


def _value_end(raw: bytes, start: int) -> int:
    scalar = _SCALAR.match(raw, start)
    if scalar:
        return scalar.end()
    depth = 0
    position = start
    while match := _BRACKET.search(raw, position):
        position = match.end()
        byte = raw[match.start()]
        if byte in b"{[":
            depth += 1
        elif byte in b"]}":
            depth -= 1
            if not depth:
                break
    return position


def _unquote(raw: bytes) -> str:
    if b"\\" not in raw:
        return go_text(raw[1:-1])
    value = load(raw)
    assert isinstance(value, str)
    return value


def compact(raw: bytes) -> bytes:
    """A well-formed text as Go writes a raw value: no white space, and `<>&` and two line ends escaped.

    Escapes and numbers keep their spelling, bytes that are no UTF-8 stay (json.Compact with escaping).
    """
    text = b"".join(_TOKEN.findall(raw))
    for character, escape in _RAW_ESCAPES:
        text = text.replace(character, escape)
    return text


def indented(raw: bytes, *, prefix: str = "", indent: str) -> bytes:
    """A well-formed text laid out as json.Indent does; empty containers stay on their line."""
    out: list[bytes] = []
    depth = 0
    pieces = _PIECE.findall(raw)
    for place, piece in enumerate(pieces):
        closes = piece in (b"}", b"]")
        empty = closes and place and pieces[place - 1] in (b"{", b"[")
        if closes:
            depth -= 1
        if closes and not empty:
            out.append(f"\n{prefix}{indent * depth}".encode())
        out.append(b": " if piece == b":" else piece)
        if piece in (b"{", b"["):
            depth += 1
        if piece == b"," or (piece in (b"{", b"[") and pieces[place + 1] not in (b"}", b"]")):
            out.append(f"\n{prefix}{indent * depth}".encode())
    return b"".join(out)


def quote(text: str) -> bytes:
    """A string as json.Marshal of Go 1.5 writes it; lone surrogates stand for bytes that are no UTF-8."""
    return b'"' + _UNSAFE.sub(_escape, text).encode("utf-8") + b'"'


def encode_object(items: dict[str, bytes]) -> bytes:
    """An object of values that are encoded already, its keys in the order of their UTF-8 bytes."""
    # Code points order as their UTF-8 does.
    return b"{" + b",".join(quote(key) + b":" + items[key] for key in sorted(items)) + b"}"


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return "\\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


def _check_depth(raw: bytes) -> None:
    if depth_of(raw) > MAX_DEPTH:
        raise InvalidManifest("JSON is nested too deeply", wanted=f"at most {MAX_DEPTH} levels")


def _pairs(pairs: list[tuple[str, Node]]) -> Pairs:
    return Pairs((whole(key), _node(value)) for key, value in pairs)


def _node(value: Node) -> Node:
    # Objects come out of the decoder cleaned; strings in arrays and at the top do not.
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return whole(value)
    return [_node(element) for element in value] if isinstance(value, list) else value


def _refuse_constant(name: str) -> Node:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_constant=_refuse_constant, parse_int=Number, parse_float=Number
)
