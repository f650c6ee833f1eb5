"""Go types as encoding/json of Go 1.5 fills and prints them: one Kind for each shape of a field (LEGACY.md b.1, b.4).

Which fields the old world's structs have is told where those structs live, not here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as data_field
from typing import Any, Final, Protocol

from puller.errors import InvalidManifest
from puller.legacy.gojson import Member, Node, Number, Pairs, load
from puller.legacy.gotext import shown
from puller.legacy.gotime import GoTime
from puller.model.gostring import quote

Faults = list[str]  # sentences about wrong types: decoding goes on after them, and the first is what it ends with
_INT64: Final = range(-(2**63), 2**63)
_FOLDED: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)} | {0x17F: ord("s"), 0x212A: ord("k")}


class Kind(Protocol):
    """One Go type. Values are plain: str, bool, int, None for nil, Slice, dict, GoTime."""

    @property
    def go_type(self) -> str: ...
    def zero(self) -> Any: ...
    def decode(self, node: Node, old: Any, faults: Faults) -> Any:
        """The field's new value. `old` is what it holds already: null keeps it, objects are decoded *into* it.

        As in Go nothing is copied, so that a field which comes a thousand times costs no thousand copies.
        """

    def encode(self, value: Any) -> bytes: ...
    def is_empty(self, value: Any) -> bool:
        """Whether `omitempty` leaves it out."""


def fold(key: str) -> str:
    """A key as encoding/json compares it where no key is equal: ASCII letters, long s and the Kelvin sign."""
    return key.lower() if key.isascii() else key.translate(_FOLDED)


def mismatch(node: Node, go_type: str) -> str:
    """The sentence about a value of the wrong type."""
    return f"json: cannot unmarshal {_described(node)} into Go value of type {go_type}"


def _described(node: Node) -> str:
    match node:
        case bool():
            return "bool"
        case Number():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


@dataclass(frozen=True, slots=True)
class Text:
    """string."""

    go_type: str = "string"

    def zero(self) -> str:
        return ""

    def decode(self, node: Node, old: str, faults: Faults) -> str:
        if type(node) is str:  # a Number is another type
            return node
        if node is not None:
            faults.append(mismatch(node, self.go_type))
        return old

    def encode(self, value: str) -> bytes:
        return quote(value)

    def is_empty(self, value: str) -> bool:
        return not value


@dataclass(frozen=True, slots=True)
class Boolean:
    """bool."""

    go_type: str = "bool"

    def zero(self) -> bool:
        return False

    def decode(self, node: Node, old: bool, faults: Faults) -> bool:
        if isinstance(node, bool):
            return node
        if node is not None:
            faults.append(mismatch(node, self.go_type))
        return old

    def encode(self, value: bool) -> bytes:
        return b"true" if value else b"false"

    def is_empty(self, value: bool) -> bool:
        return not value


@dataclass(frozen=True, slots=True)
class Integer:
    """int64, and int on the machines of the time: plain decimal text only."""

    go_type: str = "int64"

    def zero(self) -> int:
        return 0

    def decode(self, node: Node, old: int, faults: Faults) -> int:
        if isinstance(node, Number):
            # JSON's grammar has let nothing through but ASCII digits; the length first, int() of millions is slow.
            if len(node) <= 20 and node.lstrip("-").isdecimal() and int(node) in _INT64:
                return int(node)
            faults.append(f"json: cannot unmarshal number {shown(node)} into Go value of type {self.go_type}")
        elif node is not None:
            faults.append(mismatch(node, self.go_type))
        return old

    def encode(self, value: int) -> bytes:
        return b"%d" % value

    def is_empty(self, value: int) -> bool:
        return value == 0


@dataclass(frozen=True, slots=True)
class Time:
    """time.Time, which asks for the text of its value and refuses null."""

    go_type: str = "time.Time"

    def zero(self) -> GoTime:
        return GoTime()

    def decode(self, node: Node, old: GoTime, faults: Faults) -> GoTime:
        assert isinstance(node, bytes)
        return GoTime.parse(node)

    def encode(self, value: GoTime) -> bytes:
        return value.encode()

    def is_empty(self, value: GoTime) -> bool:
        return False


@dataclass(slots=True)
class Slice:
    """A slice over an array that may be longer: a later decoding with nulls uncovers what was left behind."""

    array: list[Any]
    length: int

    @property
    def items(self) -> list[Any]:
        return self.array[: self.length]


@dataclass(frozen=True, slots=True)
class ListOf:
    """[]T; None is the nil slice."""

    element: Kind
    go_type: str

    def zero(self) -> None:
        return None

    def decode(self, node: Node, old: Slice | None, faults: Faults) -> Slice | None:
        if node is None:
            return None
        if not isinstance(node, list):
            faults.append(mismatch(node, self.go_type))
            return old
        array = old.array if old and node else []
        decode, zero, known = self.element.decode, self.element.zero, len(array)
        for place, value in enumerate(node[:known]):
            array[place] = decode(value, array[place], faults)
        array += [decode(value, zero(), faults) for value in node[known:]]
        return Slice(array, len(node))

    def encode(self, value: Slice | None) -> bytes:
        if value is None:
            return b"null"
        return b"[" + b",".join(map(self.element.encode, value.items)) + b"]"

    def is_empty(self, value: Slice | None) -> bool:
        return value is None or not value.length


@dataclass(frozen=True, slots=True)
class MapOf:
    """map[string]T; None is the nil map. Entries of a second object join those of the first."""

    element: Kind
    go_type: str

    def zero(self) -> None:
        return None

    def decode(self, node: Node, old: dict[str, Any] | None, faults: Faults) -> dict[str, Any] | None:
        if node is None:
            return None
        if not isinstance(node, Pairs):
            faults.append(mismatch(node, self.go_type))
            return old
        into = {} if old is None else old
        for key, value in node:
            into[key] = self.element.decode(value, self.element.zero(), faults)
        return into

    def encode(self, value: dict[str, Any] | None) -> bytes:
        if value is None:
            return b"null"
        return b"{" + b",".join(quote(k) + b":" + self.element.encode(value[k]) for k in sorted(value)) + b"}"

    def is_empty(self, value: dict[str, Any] | None) -> bool:
        return not value


@dataclass(frozen=True, slots=True)
class StringOrList:
    """*stringutils.StrSlice: an array of strings or one string; None is the nil pointer."""

    go_type: str = "*stringutils.StrSlice"

    def zero(self) -> None:
        return None

    def decode(self, node: Node, old: Slice | None, faults: Faults) -> Slice | None:
        if node is None:
            return None
        own: Faults = []
        found = STRINGS.decode(node, None, own)
        if not own:
            return found
        own.clear()
        text = STRING.decode(node, "", own)
        if own:  # its own decoder failed, and that ends everything at once
            raise InvalidManifest(own[0])
        return Slice([text], 1)

    def encode(self, value: Slice | None) -> bytes:
        return STRINGS.encode(value)

    def is_empty(self, value: Slice | None) -> bool:
        return value is None


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct: its key, its type, and whether an empty value is left out."""

    key: str
    kind: Kind
    omit_empty: bool = False


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct; values are dicts by key."""

    go_type: str
    fields: Sequence[Field] = ()
    _by_key: Mapping[str, Field] = data_field(init=False)
    _decoders: Mapping[str, tuple[str, Callable[[Any, Any, Faults], Any]]] = data_field(init=False)
    _zeros: Mapping[str, Any] = data_field(init=False)  # shared, as only the zero of a struct is ever changed
    _structs: Sequence[tuple[str, "Struct"]] = data_field(init=False)
    _plan: Sequence[tuple[str, Kind, bool, bytes]] = data_field(init=False)  # key, kind, omit_empty, what is written

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", {fold(f.key): f for f in self.fields} | {f.key: f for f in self.fields})
        object.__setattr__(self, "_zeros", {f.key: f.kind.zero() for f in self.fields})
        object.__setattr__(self, "_decoders", {key: (f.key, f.kind.decode) for key, f in self._by_key.items()})
        plan = [(f.key, f.kind, f.omit_empty, b'"%b":' % f.key.encode()) for f in self.fields]
        object.__setattr__(self, "_plan", plan)
        object.__setattr__(self, "_structs", [(f.key, f.kind) for f in self.fields if isinstance(f.kind, Struct)])

    def zero(self) -> dict[str, Any]:
        found = dict(self._zeros)
        for key, struct in self._structs:
            found[key] = struct.zero()
        return found

    def load(self, raw: bytes, members: Iterable[Member] | None) -> dict[str, Any]:
        """Decode a whole text, as json.Unmarshal. Raises InvalidManifest with the sentence of encoding/json.

        `members` is what `gojson.load_members` said of it.
        """
        faults: Faults = []
        value = self.zero()
        if members is None:
            value = self.decode(load(raw), value, faults)
        for key, node, text in members or ():
            if (known := self.field(key)) is not None:
                # A time wants its text; all else is taken from the tree.
                wanted = text if isinstance(known.kind, Time) else node
                value[known.key] = known.kind.decode(wanted, value[known.key], faults)
        if faults:
            raise InvalidManifest(faults[0])
        return value

    def field(self, key: str) -> Field | None:
        """The field that a key of JSON means: the equal one, else the one that is equal but for case."""
        return self._by_key.get(key) or self._by_key.get(fold(key))

    def decode(self, node: Node, old: dict[str, Any], faults: Faults) -> dict[str, Any]:
        if node is None:
            return old
        if not isinstance(node, Pairs):
            faults.append(mismatch(node, self.go_type))
            return old
        decoders = self._decoders
        for key, value in node:
            known = decoders.get(key) or decoders.get(fold(key))
            if known is not None:
                name, decode = known
                old[name] = decode(value, old[name], faults)
        return old

    def encode(self, value: dict[str, Any]) -> bytes:
        shown = [
            prefix + kind.encode(value[key])
            for key, kind, omit_empty, prefix in self._plan
            if not (omit_empty and kind.is_empty(value[key]))
        ]
        return b"{" + b",".join(shown) + b"}"

    def encoded_fields(self, value: dict[str, Any]) -> dict[str, bytes]:
        """What `encode` writes, by key and in the order of the fields."""
        return {
            key: kind.encode(value[key])
            for key, kind, omit_empty, _ in self._plan
            if not (omit_empty and kind.is_empty(value[key]))
        }

    def is_empty(self, value: dict[str, Any]) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class PointerTo:
    """*T of a struct; None is nil, and null makes it that again."""

    target: Struct

    @property
    def go_type(self) -> str:
        return self.target.go_type

    def zero(self) -> None:
        return None

    def decode(self, node: Node, old: dict[str, Any] | None, faults: Faults) -> dict[str, Any] | None:
        return None if node is None else self.target.decode(node, old or self.target.zero(), faults)

    def encode(self, value: dict[str, Any] | None) -> bytes:
        return b"null" if value is None else self.target.encode(value)

    def is_empty(self, value: dict[str, Any] | None) -> bool:
        return value is None


STRING: Final = Text()
BOOL: Final = Boolean()
INT64: Final = Integer()
STRINGS: Final = ListOf(STRING, "[]string")
SET_ITEM: Final = Struct("struct {}")
