"""V1Image: the JSON of one image as Docker 1.8.3 and 1.9 held it in memory (LEGACY.md b.1, b.2).

How an ID follows from it is `imageid`'s matter.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Self

from puller.errors import InvalidManifest
from puller.legacy.gojson import Member, compact, first_value, load_members
from puller.legacy.gostruct import (
    BOOL,
    INT64,
    SET_ITEM,
    STRING,
    STRINGS,
    Field,
    MapOf,
    PointerTo,
    StringOrList,
    Struct,
    Time,
)
from puller.legacy.gotext import shown

_ID = re.compile(r"[a-f0-9]{64}", re.ASCII)
_PORTS: Final = MapOf(SET_ITEM, "map[nat.Port]struct {}")
_VOLUMES: Final = MapOf(SET_ITEM, "map[string]struct {}")
_LABELS: Final = MapOf(STRING, "map[string]string")

_CONFIG: Final = Struct(
    "runconfig.Config",
    (
        Field("Hostname", STRING), Field("Domainname", STRING), Field("User", STRING),
        Field("AttachStdin", BOOL), Field("AttachStdout", BOOL), Field("AttachStderr", BOOL),
        Field("ExposedPorts", _PORTS, omit_empty=True), Field("PublishService", STRING, omit_empty=True),
        Field("Tty", BOOL), Field("OpenStdin", BOOL), Field("StdinOnce", BOOL),
        Field("Env", STRINGS), Field("Cmd", StringOrList()), Field("Image", STRING), Field("Volumes", _VOLUMES),
        Field("WorkingDir", STRING), Field("Entrypoint", StringOrList()),
        Field("NetworkDisabled", BOOL, omit_empty=True), Field("MacAddress", STRING, omit_empty=True),
        Field("OnBuild", STRINGS), Field("Labels", _LABELS),
        Field("StopSignal", STRING, omit_empty=True),  # 1.8.3 itself had VolumeDriver instead: moby 9098628b29
    ),
)  # fmt: skip
_IMAGE: Final = Struct(
    "image.Image",
    (
        Field("id", STRING, omit_empty=True), Field("parent", STRING, omit_empty=True),
        Field("comment", STRING, omit_empty=True), Field("created", Time()),
        Field("container", STRING, omit_empty=True),
        Field("container_config", _CONFIG, omit_empty=True),  # a struct is never empty: always written
        Field("docker_version", STRING, omit_empty=True), Field("author", STRING, omit_empty=True),
        Field("config", PointerTo(_CONFIG), omit_empty=True),
        Field("architecture", STRING, omit_empty=True), Field("os", STRING, omit_empty=True),
        Field("Size", INT64, omit_empty=True),
        Field("parent_id", STRING, omit_empty=True), Field("layer_id", STRING, omit_empty=True),
    ),
)  # fmt: skip
_ONLY_ID: Final = Struct("struct { ID string }", (Field("ID", STRING),))


@dataclass(frozen=True, slots=True)
class V1Image:
    """What Docker's struct took from an image's JSON: unknown fields are gone, missing ones have their zero."""

    values: dict[str, Any]
    members: tuple[Member, ...] = ()  # as they were written

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """A whole text, strictly, as `image.NewImgJSON`. Raises InvalidManifest with Go's sentence."""
        members = load_members(raw)
        return cls(_IMAGE.load(raw, members), tuple(members or ()))

    @classmethod
    def decode_stream(cls, raw: bytes) -> Self:
        """The file `json` of an image graph: its first value, whatever follows it. Raises as `decode`."""
        return cls.decode(first_value(raw))

    @property
    def id(self) -> str:
        return str(self.values["id"])

    @property
    def parent(self) -> str:
        return str(self.values["parent"])

    @property
    def docker_version(self) -> str:
        return str(self.values["docker_version"])

    @property
    def size(self) -> int:
        return int(self.values["Size"])

    @property
    def layer_id(self) -> str:
        """The digest text of the layer: only in configs that a pull of a manifest wrote."""
        return str(self.values["layer_id"])

    @property
    def parent_id(self) -> str:
        """The parent's strong ID with its algorithm: only in configs that a pull of a manifest wrote."""
        return str(self.values["parent_id"])

    def replaced(self, **fields: str | int) -> Self:
        """A copy with some of `id`, `parent`, `Size` set."""
        unknown = fields.keys() - {"id", "parent", "Size"}
        if unknown:
            raise TypeError(f"not to be replaced: {', '.join(sorted(unknown))}")
        return type(self)(self.values | fields, self.members)

    def encode(self) -> bytes:
        """As json.Marshal wrote the struct: what images before 1.8.3 are hashed from."""
        return _IMAGE.encode(self.values)

    def encoded_fields(self) -> dict[str, bytes]:
        """What `encode` writes, by key."""
        return _IMAGE.encoded_fields(self.values)

    def raw_fields(self) -> dict[str, bytes]:
        """The text's own members, known or not, compacted; of one key twice the last."""
        return {member.key: compact(member.text) for member in self.members}


def v1_id(raw: bytes) -> str:
    """The field `id` alone of a v1Compatibility text, in whatever case; empty where there is none."""
    return str(_ONLY_ID.load(raw, load_members(raw))["ID"])


def validate_id(image_id: str) -> str:
    """The ID itself if it is 64 lower-case hex digits. Raises InvalidManifest in the original's words."""
    if not _ID.fullmatch(image_id):
        raise InvalidManifest(f"invalidimageid: image ID '{shown(image_id)}' is invalid ")
    return image_id
