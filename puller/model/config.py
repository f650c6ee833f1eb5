"""ImageConfig: what an image config says of its root filesystem, and the chain IDs that follow (OCI config.md)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from puller.errors import InvalidManifest, PullerError
from puller.model.digest import Digest
from puller.model.document import list_of, load_document, object_of, text_of, texts_of
from puller.model.platform import Platform

MAX_ID = 2**32 - 2  # 2^32-1 is -1 to chown
_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)  # what Go's Atoi, and so a container runtime, takes for a number


@dataclass(frozen=True, slots=True)
class History:
    """How one layer came to be; `empty_layer` entries have no layer."""

    created: str
    created_by: str
    empty_layer: bool


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """An image's config. Its values are shown and compared, never acted upon (THREATS C21)."""

    raw: bytes = field(repr=False)
    platform: Platform | None  # None where os or architecture is not named: signatures in image form, imports of old
    diff_ids: tuple[Digest, ...]
    created: str = ""
    user: str = ""
    history: tuple[History, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def chain_ids(self) -> tuple[Digest, ...]:
        """One per layer, base first."""
        return chain_ids(self.diff_ids)


def chain_ids(diff_ids: Iterable[Digest]) -> tuple[Digest, ...]:
    """ChainID(L0) = DiffID(L0); ChainID(n) = sha256(ChainID(n-1) + " " + DiffID(n)) (config.md, "Layer ChainID").

    Always sha256, of sha512 diff IDs too, as image-spec's own `identity` package has it.
    """
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(Digest.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)


def parse_config(raw: bytes) -> ImageConfig:
    """Decode an image config. Raises InvalidManifest, naming the key that breaks the format."""
    what = "image config"
    document = load_document(raw, what=what)
    rootfs = object_of(document, "rootfs", what=what)
    if rootfs.get("type") != "layers":
        raise InvalidManifest(f"{what}: rootfs.type must be layers", got=repr(rootfs.get("type"))[:80])
    inner = object_of(document, "config", what=what, default=True)
    named = [text_of(document, key, what=what, default="") for key in ("os", "architecture")]
    return ImageConfig(
        raw,
        Platform.decode(document, what=what) if all(named) else None,
        tuple(_diff_id(entry, i) for i, entry in enumerate(list_of(rootfs, "diff_ids", what=what, default=True))),
        text_of(document, "created", what=what, default=""),
        _user(text_of(inner, "User", what=what, default="")),
        tuple(_history(entry, i) for i, entry in enumerate(list_of(document, "history", what=what, default=True))),
        texts_of(inner, "Labels", what=what),
    )


def _diff_id(entry: Any, position: int) -> Digest:
    try:
        return Digest.parse(entry if isinstance(entry, str) else repr(entry))
    except PullerError as error:
        raise InvalidManifest(f"image config: diff_ids[{position}] is no digest", where=str(error)) from error


def _history(entry: Any, position: int) -> History:
    what = f"image config history[{position}]"
    if not isinstance(entry, dict):
        raise InvalidManifest(f"{what} must be an object", got=type(entry).__name__)
    empty = entry.get("empty_layer", False)
    if not isinstance(empty, bool):
        raise InvalidManifest(f"{what}: empty_layer must be true or false", got=repr(empty)[:40])
    return History(
        text_of(entry, "created", what=what, default=""),
        text_of(entry, "created_by", what=what, default=""),
        empty,
    )


def _user(user: str) -> str:
    # A number out of range must not fall back to being a name (containerd CVE-2026-46680; THREATS C21).
    for part in user.split(":"):
        if not _NUMBER.fullmatch(part):
            continue
        digits = part.lstrip("+-0")
        if part.startswith("-") or len(digits) > 10 or int(digits or "0") > MAX_ID:
            raise InvalidManifest("image config: User out of range", wanted=f"0 to {MAX_ID}", got=user[:80])
    return user
