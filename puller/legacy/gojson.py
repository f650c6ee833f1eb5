"""JSON as Go of 2015 reads and writes it, to the byte (LEGACY.md b.4): what image IDs are hashes of.

Theory of operation. Python's scanner accepts exactly Go's grammar once NaN is refused, so it judges and decodes; raw
bytes travel through it as lone surrogates, which become U+FFFD just as Go makes of them. What must keep its spelling
(top-level values, times) is cut out of the text where the scanner says that it begins and ends.
"""

import json
import re
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from puller.errors import InvalidManifest
from puller.legacy.gosyntax import END, syntax_error
from puller.legacy.gotext import whole
from puller.model.document import depth_of
from puller.model.gostring import quote

# Go had no bound. Deeper texts are refused, typed, before anything recurses over them.
MAX_DEPTH: Final = 256
MAX_MEMBERS: Final = 1 << 16  # of an object whose members are kept as text: configs have a dozen
_EXACT: Final = 1 << 20  # bytes: of longer texts it is not said where they break, as finding that takes seconds


class Number(str):
    """A number as it was written: 1.50 stays 1.50."""

    __slots__ = ()


class Pairs(tuple["Pair", ...]):
    """An object: every pair in its order, duplicates kept."""

    __slots__ = ()


Node: TypeAlias = "bool | str | Number | bytes | list[Node] | Pairs | None"  # bytes: text of a value, left as it is
Pair: TypeAlias = tuple[str, Node]


class Member(NamedTuple):
    """A member of an object, decoded and as it was written."""

    key: str
    node: Node
    text: bytes


_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(_STRING + rb'|[^" \t\r\n]+', re.DOTALL)
_LOOSE = re.compile(rb"[ \t\r\n<>&\xe2]")  # \xe2 begins the two line ends
_PIECE = re.compile(_STRING + rb'|[{}\[\],:]|[^"{}\[\],: \t\r\n]+', re.DOTALL)
_BLANK = re.compile("[ \t\r\n]*")
_KEY = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\r\n]*:[ \t\r\n]*')
_BLANKS: Final = frozenset(" \t\r\n")
_LONE = re.compile("[\ud800-\udfff]|\\\\u[dD][89a-fA-F]")
_SPACE = b" \t\r\n"
_RAW_ESCAPES: Final = (
    (b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"),
)  # fmt: skip


def load(raw: bytes) -> Node:
    """Decode one value and nothing after it. Raises InvalidManifest, `what` being the sentence of encoding/json."""
    _check_depth(raw)
    text = raw.decode("utf-8", "surrogateescape")
    try:
        return _node(_decoder_for(text).decode(text))
    except ValueError:
        raise _syntax(raw) from None


def load_members(raw: bytes) -> list[Member] | None:
    """Decode one object, keeping the text of its values and all duplicates; None for a value of another type.

    Raises InvalidManifest as `load`, and for more members than anything real has.
    """
    _check_depth(raw)
    text = raw.decode("utf-8", "surrogateescape")
    position = _after_blank(text, 0)
    if not text.startswith("{", position):
        load(raw)
        return None
    try:
        found, end = _members(text, position + 1)
    except InvalidManifest:
        raise
    except ValueError:
        raise _syntax(raw) from None
    if end != len(text):
        raise _syntax(raw)
    return found


def _members(text: str, position: int) -> tuple[list[Member], int]:
    """The members from behind the opening brace, and where the blanks behind the closing one end."""
    decoder = _decoder_for(text)
    scan, is_clean = decoder.raw_decode, decoder is _PLAIN
    found: list[Member] = []
    position = _after_blank(text, position)
    closed = text.startswith("}", position)
    while not closed:
        # A key without escapes, and the colon, in one step; one by one where that is not what stands there.
        if plain := _KEY.match(text, position):
            key, start = plain[1], plain.end()
        else:
            key, start = _key(text, position, scan)
        node, end = scan(text, start)
        if len(found) == MAX_MEMBERS:
            raise InvalidManifest("JSON object has too many members", wanted=f"at most {MAX_MEMBERS}")
        raw = text[start:end].encode("utf-8", "surrogateescape")
        found.append(Member(key, node, raw) if is_clean else Member(whole(key), _node(node), raw))
        if text.startswith(',"', end):
            position = end + 1
            continue
        position = _after_blank(text, end)
        closed = text.startswith("}", position)
        if not closed:
            if not text.startswith(",", position):
                raise ValueError(position)
            position = _after_blank(text, position + 1)
    return found, _after_blank(text, position + 1)


def _key(text: str, position: int, scan: Callable[[str, int], tuple[str, int]]) -> tuple[str, int]:
    if not text.startswith('"', position):
        raise ValueError(position)
    key, position = scan(text, position)
    position = _after_blank(text, position)
    if not text.startswith(":", position):
        raise ValueError(position)
    return key, _after_blank(text, position + 1)


def _after_blank(text: str, position: int) -> int:
    if text[position : position + 1] not in _BLANKS:
        return position
    found = _BLANK.match(text, position)
    return found.end() if found else position


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
        _, end = _PLAIN.raw_decode(text, start)
    except ValueError:
        found = syntax_error(raw, trailing=False)
        raise InvalidManifest("unexpected EOF" if found in (END, None) else str(found)) from None
    return raw[start:end]


def compact(raw: bytes) -> bytes:
    """A well-formed text as Go writes a raw value: no white space, and `<>&` and two line ends escaped.

    Escapes and numbers keep their spelling, bytes that are no UTF-8 stay (json.Compact with escaping).
    """
    if not _LOOSE.search(raw):
        return raw
    if _is_spaced(raw):
        raw = b"".join(_TOKEN.findall(raw))
    for character, escape in _RAW_ESCAPES:
        raw = raw.replace(character, escape)
    return raw


def _is_spaced(raw: bytes) -> bool:
    """Whether white space stands between the tokens of a well-formed text; that within its strings counts for nothing.

    As in `depth_of` every quote that is left once the escaped ones are gone begins or ends a string.
    """
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in raw else raw
    outside = b"".join(plain.split(b'"')[::2])
    return outside != outside.translate(None, _SPACE)


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


def encode_object(items: dict[str, bytes]) -> bytes:
    """An object of values that are encoded already, its keys in the order of their UTF-8 bytes."""
    # Code points order as their UTF-8 does.
    return b"{" + b",".join(quote(key) + b":" + items[key] for key in sorted(items)) + b"}"


def _check_depth(raw: bytes) -> None:
    if depth_of(raw) > MAX_DEPTH:
        raise InvalidManifest("JSON is nested too deeply", wanted=f"at most {MAX_DEPTH} levels")


def _syntax(raw: bytes) -> InvalidManifest:
    return InvalidManifest((len(raw) <= _EXACT and syntax_error(raw)) or "invalid JSON")


def _decoder_for(text: str) -> json.JSONDecoder:
    """The plain decoder unless the text may hold a lone surrogate: cleaning takes longer than all else."""
    # Most texts are spared the search, which takes as long as decoding them.
    if text.isascii() and "\\ud" not in text and "\\uD" not in text:
        return _PLAIN
    return _CLEANING if _LONE.search(text) else _PLAIN


def _clean_pairs(pairs: list[tuple[str, Node]]) -> Pairs:
    return Pairs((whole(key), _node(value)) for key, value in pairs)


def _node(value: Node) -> Node:
    """A string or array with its lone surrogates replaced; objects were cleaned when they were made."""
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return whole(value)
    return [_node(element) for element in value] if isinstance(value, list) else value


def _refuse_constant(name: str) -> Node:
    raise ValueError(name)


_PLAIN: Final = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_constant=_refuse_constant, parse_int=Number, parse_float=Number
)
_CLEANING: Final = json.JSONDecoder(
    object_pairs_hook=_clean_pairs, parse_constant=_refuse_constant, parse_int=Number, parse_float=Number
)
