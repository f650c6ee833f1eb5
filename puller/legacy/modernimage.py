"""The struct that Docker since 1.10 reads image configs into, as its 20.10 has it (image.V1Image, container.Config).

What it does not know vanishes wherever a text goes through it: so it decides IDs, as the struct of 1.9 did before.
"""

from dataclasses import dataclass
from typing import Any, Final

from puller.legacy.gojson import Node, load_members
from puller.legacy.gostruct import (
    BOOL,
    INT64,
    SET_ITEM,
    STRING,
    STRINGS,
    Faults,
    Field,
    Integer,
    MapOf,
    PointerTo,
    Slice,
    StringOrList,
    Struct,
    Time,
)
from puller.legacy.gotime import GoTime


class _NullableTime(Time):
    """time.Time of later Go: null leaves it as it is."""

    def decode(self, node: Node, old: GoTime, faults: Faults) -> GoTime:
        return old if node == b"null" else super().decode(node, old, faults)


class _IntPointer(Integer):
    """*int; None is nil."""

    def zero(self) -> None:  # type: ignore[override]  # nil, where the number it points to would be 0
        return None

    def decode(self, node: Node, old: int | None, faults: Faults) -> int | None:  # type: ignore[override]  # as above
        return None if node is None else super().decode(node, old or 0, faults)

    def is_empty(self, value: int | None) -> bool:
        return value is None


class _OptionalList(StringOrList):
    """strslice.StrSlice with omitempty: a slice, no pointer."""

    def is_empty(self, value: Slice | None) -> bool:
        return STRINGS.is_empty(value)


_INT: Final = Integer("int")
_HEALTH: Final = Struct(
    "container.HealthConfig",
    (
        Field("Test", STRINGS, omit_empty=True), Field("Interval", INT64, omit_empty=True),
        Field("Timeout", INT64, omit_empty=True), Field("StartPeriod", INT64, omit_empty=True),
        Field("Retries", _INT, omit_empty=True),
    ),
)  # fmt: skip
_CONFIG: Final = Struct(
    "container.Config",
    (
        Field("Hostname", STRING), Field("Domainname", STRING), Field("User", STRING),
        Field("AttachStdin", BOOL), Field("AttachStdout", BOOL), Field("AttachStderr", BOOL),
        Field("ExposedPorts", MapOf(SET_ITEM, "nat.PortSet"), omit_empty=True),
        Field("Tty", BOOL), Field("OpenStdin", BOOL), Field("StdinOnce", BOOL),
        Field("Env", STRINGS), Field("Cmd", StringOrList()),
        Field("Healthcheck", PointerTo(_HEALTH), omit_empty=True), Field("ArgsEscaped", BOOL, omit_empty=True),
        Field("Image", STRING), Field("Volumes", MapOf(SET_ITEM, "map[string]struct {}")),
        Field("WorkingDir", STRING), Field("Entrypoint", StringOrList()),
        Field("NetworkDisabled", BOOL, omit_empty=True), Field("MacAddress", STRING, omit_empty=True),
        Field("OnBuild", STRINGS), Field("Labels", MapOf(STRING, "map[string]string")),
        Field("StopSignal", STRING, omit_empty=True), Field("StopTimeout", _IntPointer("int"), omit_empty=True),
        Field("Shell", _OptionalList(), omit_empty=True),
    ),
)  # fmt: skip
IMAGE: Final = Struct(
    "image.V1Image",
    (
        Field("id", STRING, omit_empty=True), Field("parent", STRING, omit_empty=True),
        Field("comment", STRING, omit_empty=True), Field("created", _NullableTime()),
        Field("container", STRING, omit_empty=True),
        Field("container_config", _CONFIG, omit_empty=True),  # a struct is never empty: always written
        Field("docker_version", STRING, omit_empty=True), Field("author", STRING, omit_empty=True),
        Field("config", PointerTo(_CONFIG), omit_empty=True),
        Field("architecture", STRING, omit_empty=True), Field("variant", STRING, omit_empty=True),
        Field("os", STRING, omit_empty=True), Field("Size", INT64, omit_empty=True),
    ),
)  # fmt: skip
EPOCH: Final = GoTime(1970)


@dataclass(frozen=True, slots=True)
class ModernImage:
    """What the struct took from a text, in Go's values by key."""

    values: dict[str, Any]

    @classmethod
    def decode(cls, raw: bytes) -> "ModernImage":
        """A v1Compatibility text, a graph's JSON or an image config. Raises InvalidManifest with Go's sentence."""
        return cls(IMAGE.load(raw, load_members(raw)))

    @classmethod
    def blank(cls) -> "ModernImage":
        """What stands for an image of which only the layer is known: made in 1970."""
        return cls(IMAGE.zero() | {"created": EPOCH})

    def replaced(self, **fields: str) -> "ModernImage":
        """A copy with some of its texts set."""
        return ModernImage(self.values | fields)

    @property
    def created(self) -> GoTime:
        found = self.values["created"]
        assert isinstance(found, GoTime)
        return found

    @property
    def command(self) -> str:
        """The words of the command that made it, with one space between them."""
        words = self.values["container_config"]["Cmd"]
        return "" if words is None else " ".join(words.items)

    def text(self, key: str) -> str:
        return str(self.values[key])

    def encode(self) -> bytes:
        return IMAGE.encode(self.values)

    def encoded_fields(self) -> dict[str, bytes]:
        """What `encode` writes, by key."""
        return IMAGE.encoded_fields(self.values)
