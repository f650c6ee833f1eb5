"""What `docker save` wrote, old and new: the documents of its archives, and the order in which images can be loaded.

The old format (until 1.9) has a folder `<id>/` with `VERSION`, `json` and `layer.tar` for each image, and
`repositories` for their names (LEGACY.md d.6, d.7). From 1.10 on `manifest.json` lists images by their configs. Pure:
which documents an archive has, and reading them, is for others.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from puller.errors import ContentMissing, InvalidManifest, InvalidReference, LimitExceeded, PullerError
from puller.legacy.gojson import first_value, load, load_members
from puller.legacy.gostruct import STRING, MapOf
from puller.legacy.v1image import V1Image, validate_id
from puller.model.digest import Digest
from puller.model.document import list_of, load_document, load_value, text_of
from puller.model.reference import Reference
from puller.model.text import printable

REPOSITORIES: Final = "repositories"
MANIFEST: Final = "manifest.json"
JSON: Final = "json"
LAYER: Final = "layer.tar"
MAX_JSON: Final = 1 << 20  # bytes of any one document (THREATS G2)
MAX_DEPTH: Final = 1_000  # images above one another; no driver took more than 127 (THREATS G3)
MAX_IMAGES: Final = 1_000  # of one manifest.json
MAX_LAYERS: Final = 1_000  # of one image

_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAMES: Final = MapOf(MapOf(STRING, "graph.Repository"), "map[string]graph.Repository")


def is_id(text: str) -> bool:
    """Whether `text` is the ID of an image, and so may be the name of its folder (THREATS A1)."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of manifest.json: members of the archive by name, layers base first, and what it is to be called."""

    config: str
    layers: tuple[str, ...]
    names: tuple[Reference, ...]


def parse_manifest(raw: bytes) -> tuple[Entry, ...]:
    """The images of a manifest.json. Raises InvalidManifest, and InvalidReference for a name that is none."""
    entries = load_value(raw, what=MANIFEST, limit=MAX_JSON)
    if not isinstance(entries, list) or len(entries) > MAX_IMAGES:
        raise InvalidManifest(f"{MANIFEST} must be a list", wanted=f"at most {MAX_IMAGES} images")
    return tuple(_entry(entry, f"{MANIFEST}[{place}]") for place, entry in enumerate(entries))


def _entry(entry: Any, what: str) -> Entry:
    if not isinstance(entry, dict):
        raise InvalidManifest(f"{what} must be an object", got=type(entry).__name__)
    layers = list_of(entry, "Layers", what=what, default=True)
    names = list_of(entry, "RepoTags", what=what, default=True)
    if not all(isinstance(value, str) for value in (*layers, *names)):
        raise InvalidManifest(f"{what}: Layers and RepoTags must hold strings")
    if len(layers) > MAX_LAYERS:
        raise InvalidManifest(f"{what}: too many layers", wanted=f"at most {MAX_LAYERS}", got=len(layers))
    return Entry(text_of(entry, "Config", what=what), tuple(layers), tuple(map(_tagged, names)))


def _tagged(text: str) -> Reference:
    reference = Reference.parse(text)
    if reference.tag is None or reference.digest is not None:
        raise InvalidReference("a name in an archive needs a tag", got=printable(text))
    return reference


def graph_id(config: bytes) -> str | None:
    """The ID of an image of the old kind, if that is what a config of manifest.json tells; None for a config of today.

    Such a config has an `id` of its own; today's are named by their digest.
    """
    members = load_members(config)
    for member in members or ():
        if member.key == "id" and isinstance(member.node, str) and is_id(member.node):
            return member.node
    return None


def parse_image(raw: bytes, folder: str) -> V1Image:
    """The `json` of the image in `folder`. Raises InvalidManifest where it is another's (THREATS A1, G4)."""
    image = V1Image.decode(raw)
    validate_id(image.id)
    if image.id != folder:
        raise InvalidManifest("an image in another one's folder", where=printable(folder), got=image.id)
    if image.parent:
        validate_id(image.parent)
    return image


def parse_repositories(raw: bytes) -> dict[Reference, str]:
    """What `repositories` names: reference, tagged or pinned, to a whole image ID (THREATS A8, A9, C23).

    Raises InvalidManifest, and InvalidReference for names that are none.
    """
    names: dict[Reference, str] = {}
    for repository, refs in load_document(raw, what=REPOSITORIES, limit=MAX_JSON).items():
        if not isinstance(refs, dict):
            raise InvalidManifest(f"{REPOSITORIES}: an object for each name", where=printable(repository))
        for ref, image_id in refs.items():
            reference = named(repository, ref)
            if not isinstance(image_id, str) or not is_id(image_id):
                raise InvalidManifest("no image ID", where=reference, wanted="64 hex digits", got=repr(image_id)[:100])
            if names.setdefault(reference, image_id) != image_id:
                raise InvalidManifest("one name for two images", where=reference)
    return names


def named(repository: str, ref: str) -> Reference:
    """A name as `repositories` has it, in two parts; `ref` is a tag or a digest. Raises InvalidReference."""
    bare = Reference.parse(repository)
    if bare.tag is not None or bare.digest is not None:
        raise InvalidReference("a repository's name ends before its tag", got=printable(repository))
    check_reserved(bare)
    if ":" not in ref:
        return bare.with_tag(ref)
    try:
        return bare.with_digest(Digest.parse(ref))
    except PullerError as error:
        raise InvalidReference("neither a tag nor a digest", where=bare, got=printable(ref)) from error


def check_reserved(reference: Reference) -> None:
    """Refuse the name of the image that is none. Raises InvalidReference."""
    if reference.familiar().partition(":")[0] == "scratch":
        raise InvalidReference("'scratch' is a reserved name")


def repositories_as_docker(raw: bytes) -> list[tuple[str, str, str]]:
    """(repository, ref, ID) as the original took them from `repositories`: unchecked, in the order of the file.

    Raises InvalidManifest with Go's sentence.
    """
    faults: list[str] = []
    names = _NAMES.decode(load(first_value(raw)), None, faults) or {}
    if faults:
        raise InvalidManifest(faults[0])
    return [(repository, ref, str(found)) for repository, refs in names.items() for ref, found in (refs or {}).items()]


def in_order(parents: Mapping[str, str], is_known: Callable[[str], bool]) -> list[str]:
    """The images, each behind its parent; `parents` has the parent of each, empty for a base.

    Raises InvalidManifest for an image that is its own ancestor, ContentMissing for a parent that is neither among them
    nor known, LimitExceeded for too long a line of ancestors. Takes linear time and no recursion (THREATS G3).
    """
    depths: dict[str, int] = {}
    for image_id in parents:
        line: dict[str, None] = {}
        at = image_id
        while at and at in parents and at not in depths:
            if at in line:
                raise InvalidManifest("an image is its own ancestor", got=at)
            line[at] = None
            at = parents[at]
        if at and at not in depths and not is_known(at):
            child = next(reversed(line))
            what, hint = (
                "the parent of an image is neither in the archive nor here",
                "Save the archive with its parents.",
            )
            raise ContentMissing(what, where=child, wanted=at, hint=hint)
        depth = depths.get(at, 0)
        for one in reversed(line):
            depth += 1
            if depth > MAX_DEPTH:
                raise LimitExceeded("too many images above one another", wanted=f"at most {MAX_DEPTH}")
            depths[one] = depth
    return list(depths)
