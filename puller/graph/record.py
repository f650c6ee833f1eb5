"""Record: the files of one image in its folder `graph/<id>/`, as Docker read and wrote them (LEGACY.md d.1, d.2)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from puller.contracts.graph import NewImage
from puller.errors import ContentCorrupt, InputError, InvalidManifest
from puller.graph import files
from puller.legacy import olddigest
from puller.legacy.gotext import go_text, quoted
from puller.legacy.v1image import V1Image, validate_id

JSON: Final = "json"
LAYERSIZE: Final = "layersize"
CHECKSUM: Final = "checksum"
V1_COMPATIBILITY: Final = "v1Compatibility"
PARENT: Final = "parent"
TAR_DATA: Final = "tar-data.json.gz"
TARSUM: Final = "tarsum"  # puller's own: a fact, never hashed

UNKNOWN: Final = -1  # as a size
JSON_LIMIT: Final = 8 << 20  # twice what a whole manifest may have
_TEXT_LIMIT: Final = 4 << 10
_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Record:
    """What an image's files say. `image` has its ID, parent and size as the graph has them; the size may be UNKNOWN.

    `parent` is what stands there, and no ID for certain.
    """

    image_id: str
    parent: str
    config: bytes
    image: V1Image
    size: int
    checksum: str | None
    v1_compatibility: bytes | None


def read_record(folder: int, image_id: str, where: Path) -> Record:
    """The record in the open folder of an image, `where` it lies. Raises ContentCorrupt in the original's words."""
    try:
        return _read(folder, image_id, where)
    except InputError as error:
        raise ContentCorrupt(error.what, where=where) from error


def _read(folder: int, image_id: str, where: Path) -> Record:
    config = read_file(folder, JSON, JSON_LIMIT, where)
    if config is None:
        raise ContentCorrupt(f"open {where / JSON}: no such file or directory", where=where)
    image = V1Image.decode_stream(config)
    own_id = validate_id(image.id or image_id)
    parent = read_text(folder, PARENT, where) or parent_of(image)
    size = _size(read_text(folder, LAYERSIZE, where))
    if own_id != image_id:
        raise ContentCorrupt(f"Image stored at '{image_id}' has wrong id '{own_id}'", where=where)
    return Record(
        image_id,
        parent,
        config,
        image.replaced(id=image_id, parent=parent, Size=size),
        size,
        read_text(folder, CHECKSUM, where),
        read_file(folder, V1_COMPATIBILITY, JSON_LIMIT, where),
    )


def parent_of(image: V1Image) -> str:
    """The parent that an image's JSON names: under its ID, or in the config of a pull by its strong ID."""
    return image.parent or _strong_parent(image)


def _strong_parent(image: V1Image) -> str:
    try:
        return olddigest.hexadecimal(olddigest.validate(image.parent_id))
    except InputError:
        return ""


def described(new: NewImage) -> dict[str, bytes]:
    """The small files of a new image, by name; all but `layersize`.

    Raises InvalidManifest for JSON that does not name the image and the parent that it is registered under.
    """
    validate_id(new.image_id)
    if new.config is None and new.image is None:
        raise ValueError("neither a config nor an image")
    config = new.image.encode() if new.config is None and new.image is not None else new.config or b""
    if len(config) > JSON_LIMIT:
        raise InvalidManifest("the image's JSON is too large", wanted=f"at most {JSON_LIMIT} bytes", got=len(config))
    image = V1Image.decode(config)
    if image.id not in ("", new.image_id):
        raise InvalidManifest(f"Image stored at '{new.image_id}' has wrong id '{image.id}'")
    found = {JSON: config}
    strong = _strong_parent(image)
    if strong and new.parent and new.parent != strong:
        found[PARENT] = new.parent.encode()
    elif parent_of(image) != new.parent:
        wanted, got = new.parent or "no parent", parent_of(image) or "no parent"
        raise InvalidManifest("the image's JSON names another parent", wanted=wanted, got=got)
    if new.checksum is not None:
        found[CHECKSUM] = new.checksum.encode()
    if new.v1_compatibility is not None:
        found[V1_COMPATIBILITY] = new.v1_compatibility
    return found


def read_text(folder: int, name: str, where: Path) -> str | None:
    """A file of one short line, as it is; None where there is none."""
    raw = read_file(folder, name, _TEXT_LIMIT, where)
    return None if raw is None else go_text(raw)


def read_file(folder: int, name: str, limit: int, where: Path) -> bytes | None:
    """A file of at most `limit` bytes; None where there is none. Raises ContentCorrupt for a longer one."""
    raw = files.read(folder, name, limit)
    if raw is not None and len(raw) > limit:
        raise ContentCorrupt(f"{name} is too large", where=where, wanted=f"at most {limit} bytes")
    return raw


def _size(text: str | None) -> int:
    """An int64 as Go read one; negative or no file: UNKNOWN."""
    if text is None:
        return UNKNOWN
    if not _NUMBER.fullmatch(text):
        raise InvalidManifest(f"strconv.ParseInt: parsing {quoted(text)}: invalid syntax")
    size = int(text) if len(text) < 32 else _LARGEST + 1  # more digits than any int64 has
    if not -_LARGEST - 1 <= size <= _LARGEST:
        raise InvalidManifest(f"strconv.ParseInt: parsing {quoted(text)}: value out of range")
    return max(size, UNKNOWN)
