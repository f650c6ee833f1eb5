"""PrettySignature: libtrust's JSON web signature, hidden in the document that it signs (LEGACY.md c.4).

Theory of operation. A signer cuts the document before its last brace, writes a `signatures` member there and closes
it again; each signature says in its protected header how long the first part is and what the tail was. The payload is
put together from these, and only it is signed: whatever else the document holds proves nothing.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from puller.errors import InvalidManifest, SignatureInvalid
from puller.legacy import joseb64
from puller.legacy.gojson import Member, Node, Number, Pairs, indented, load, load_members
from puller.legacy.gostruct import STRING, STRINGS, Faults, Field, ListOf, Slice, Struct, mismatch
from puller.legacy.keys import PublicKey, parse_certificate, parse_jwk
from puller.model.gostring import quote

KEY: Final = "signatures"
MAX_SIGNATURES: Final = 64  # THREATS C17: each costs a verification
SPACE: Final = b" \t\r\n"
_LONGEST_NUMBER: Final = 400  # digits: beyond float64 anyway
_INTEGER = re.compile(r"[1-9][0-9]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Raw:
    """json.RawMessage: whatever is there, null too; None where there is nothing."""

    go_type: str = "json.RawMessage"

    def zero(self) -> None:
        return None

    def decode(self, node: Node, old: tuple[Node] | None, faults: Faults) -> tuple[Node]:
        return (node,)

    def encode(self, value: tuple[Node] | None) -> bytes:
        raise TypeError("libtrust's parsed structs are read, and never written")

    def is_empty(self, value: tuple[Node] | None) -> bool:
        return value is None


_HEADER: Final = Struct("libtrust.jsParsedHeader", (Field("jwk", Raw()), Field("alg", STRING), Field("x5c", STRINGS)))
_BLOCK: Final = Struct(
    "libtrust.jsParsedSignature", (Field("header", _HEADER), Field("signature", STRING), Field("protected", STRING))
)
_BLOCKS: Final = ListOf(_BLOCK, "[]libtrust.jsParsedSignature")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature as it was read. `length` is the text of the number; `jwk` and `chain` are what it brings along."""

    algorithm: str
    jwk: PublicKey | None
    chain: tuple[str, ...]
    signature: str
    protected: str
    length: str
    tail: bytes

    def verify(self, payload: str) -> PublicKey:
        """The key that signed `payload`, given in base64.

        Raises SignatureInvalid, and InvalidManifest for what cannot be read.
        """
        key = self._key()
        signature = joseb64.decode(self.signature)
        key.verify(self.algorithm, signature, f"{self.protected}.{payload}".encode())
        return key

    def _key(self) -> PublicKey:
        # The leaf of a chain comes before a bare key, as in the original; no chain is followed, as none is trusted.
        if self.chain:
            return parse_certificate(joseb64.decode_standard(self.chain[0]))
        if self.jwk is None:
            raise SignatureInvalid("missing public key")
        return self.jwk


@dataclass(frozen=True, slots=True)
class PrettySignature:
    """What was signed, and by what. `members` is the whole document, signed or not."""

    payload: bytes
    signatures: tuple[Signature, ...]
    members: tuple[Member, ...]

    @classmethod
    def parse_like_libtrust(cls, content: bytes) -> Self:
        """As libtrust.ParsePrettySignature, its leniency included: for vectors, never for a pull.

        `content` begins and ends with the object's braces. Raises InvalidManifest in libtrust's words.
        """
        return cls._of(content, _object(content))

    @classmethod
    def _of(cls, content: bytes, members: tuple[Member, ...]) -> Self:
        found = [member.node for member in members if member.key == KEY]
        if not found:
            raise InvalidManifest("missing signature key")
        signatures = tuple(map(_signature, _blocks(found[-1])))
        length, tail = _format(signatures)
        if length > len(content):
            raise InvalidManifest("invalid format length")
        if length < 0:  # the original crashed
            raise InvalidManifest(f"runtime error: slice bounds out of range [:{length}]")
        return cls(content[:length] + tail, signatures, members)

    @classmethod
    def parse(cls, content: bytes, members: Sequence[Member] | None = None) -> Self:
        """The same, and what no honest signer writes is refused (THREATS C15, C16). Raises InvalidManifest.

        `members` are those of `content`, where they are known already. One `signatures` member with one to 64
        signatures; a length that is a positive whole number and a tail that closes the object and says nothing, both
        the same in all of them.
        """
        members = _object(content) if members is None else tuple(members)
        found = [member.node for member in members if member.key == KEY]
        if len(found) > 1:
            raise InvalidManifest("more than one member of signatures", got=len(found))
        if found and isinstance(found[0], list) and len(found[0]) > MAX_SIGNATURES:
            raise InvalidManifest("too many signatures", wanted=f"at most {MAX_SIGNATURES}", got=len(found[0]))
        signed = cls._of(content, members)
        if not signed.signatures:
            raise InvalidManifest("no signature among the signatures")
        # With no length of 0 and no empty tail among them, libtrust's own comparison has seen that all agree.
        for one in signed.signatures:
            if not _INTEGER.fullmatch(one.length):
                raise InvalidManifest("format length is no positive integer", got=one.length)
            if one.tail.strip(SPACE) != b"}":
                raise InvalidManifest("format tail is more than a closing brace", got=repr(one.tail[:40]))
        return signed

    def verify(self) -> tuple[PublicKey, ...]:
        """The keys, one for each signature; all must hold. Raises SignatureInvalid or InvalidManifest."""
        payload = joseb64.encode(self.payload)
        return tuple(signature.verify(payload) for signature in self.signatures)


def assemble(payload: bytes, blocks: Iterable[bytes]) -> bytes:
    """The document that hides these encoded signatures in `payload`, laid out as the payload is."""
    length = format_length(payload)
    indent = indent_of(payload)
    listed = b"[" + b",".join(blocks) + b"]"
    if not indent:
        return payload[:length] + b',"%b":%b}' % (KEY.encode(), listed)
    laid = indented(listed, prefix=indent, indent=indent)
    return payload[:length] + b',\n%b"%b": %b\n}' % (indent.encode(), KEY.encode(), laid)


def format_length(payload: bytes) -> int:
    """How much of `payload` stands before its closing brace. Raises InvalidManifest for what cannot be signed."""
    members = load_members(payload)
    if members is None:
        raise InvalidManifest(mismatch(load(payload), "map[string]interface {}"))
    if not members:  # the original signed it, and a comma then stood behind the opening brace
        raise InvalidManifest("an empty object cannot be signed")
    # Well-formed: so it ends with a brace, and no comma stands before that.
    return len(payload.rstrip(SPACE)[:-1].rstrip(SPACE))


def indent_of(payload: bytes) -> str:
    """The indent of the first member where the object's brace ends its line; empty otherwise."""
    if not payload.startswith(b"{\n"):
        return ""
    end = payload.find(b'"')
    return payload[2:end].decode("utf-8") if end > 0 else ""


def block(algorithm: str, key: PublicKey | None, chain: Iterable[str], signature: bytes, protected: str) -> bytes:
    """One encoded signature for `assemble`: with a key or a chain, never both."""
    named = b'"alg":%b' % quote(algorithm)
    chained = b'"x5c":[%b]' % b",".join(map(quote, chain))
    parts = (b'"jwk":' + key.jwk(), named) if key is not None else (named, chained)
    own = b'{"header":{%b},"signature":%b,"protected":%b}'
    return own % (b",".join(parts), quote(joseb64.encode(signature)), quote(protected))


def _object(content: bytes) -> tuple[Member, ...]:
    try:
        members = load_members(content)
        if members is None and (node := load(content)) is not None:
            raise InvalidManifest(mismatch(node, "map[string]json.RawMessage"))
    except InvalidManifest as error:
        raise InvalidManifest(f"error unmarshalling content: {error.what}") from error
    return tuple(members or ())


def _blocks(node: Node) -> tuple[dict[str, Any], ...]:
    faults: Faults = []
    found = _BLOCKS.decode(node, None, faults)
    if faults:
        raise InvalidManifest(f"error unmarshalling signatures: {faults[0]}")
    return tuple(found.items) if isinstance(found, Slice) else ()


def _signature(values: dict[str, Any]) -> Signature:
    protected = values["protected"]
    length, tail = _protected(protected)
    header = values["header"]
    chain = tuple(header["x5c"].items) if header["x5c"] else ()
    jwk = None
    if header["jwk"] is not None:
        try:
            jwk = parse_jwk(header["jwk"][0])
        except InvalidManifest as error:
            raise InvalidManifest(f"error unmarshalling public key: {error.what}") from error
    return Signature(header["alg"], jwk, chain, values["signature"], protected, length, tail)


def _protected(text: str) -> tuple[str, bytes]:
    """Length, as it was written, and tail of a protected header."""
    try:
        raw = joseb64.decode(text)
    except InvalidManifest as error:
        raise InvalidManifest(f"base64 decode error: {error.what}") from error
    try:
        header = load(raw)
        if header is not None and not isinstance(header, Pairs):
            raise InvalidManifest(mismatch(header, "map[string]interface {}"))
    except InvalidManifest as error:
        raise InvalidManifest(f"error unmarshalling protected header: {error.what}") from error
    values = dict(header or ())
    length, tail = values.get("formatLength"), values.get("formatTail")
    if not isinstance(length, Number):
        raise InvalidManifest("missing formatted length")
    if not isinstance(tail, str) or isinstance(tail, Number):
        raise InvalidManifest("missing formatted tail")
    try:
        return str(length), joseb64.decode(tail)
    except InvalidManifest as error:
        raise InvalidManifest(f"base64 decode error on tail: {error.what}") from error


def _format(signatures: Iterable[Signature]) -> tuple[int, bytes]:
    """The length and tail that all agree on; a length of 0 and an empty tail are nobody's word."""
    length, tail = 0, b""
    for one in signatures:
        own = _truncated(one.length)
        if length and own != length:
            raise InvalidManifest("conflicting format length")
        if tail and one.tail != tail:
            raise InvalidManifest("conflicting format tail")
        length, tail = length or own, tail or one.tail
    return length, tail


def _truncated(text: str) -> int:
    try:
        if len(text) > _LONGEST_NUMBER:
            raise ValueError(len(text))
        return int(float(text))
    except (OverflowError, ValueError):
        raise InvalidManifest("invalid format length") from None
