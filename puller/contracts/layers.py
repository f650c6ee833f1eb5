"""Seams for layers: what is unpacked (LayerBlob), who keeps it (Driver), who tells what changed (Differ)."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from puller.errors import Unsupported
from puller.model.alteration import Altered
from puller.model.change import Change
from puller.model.digest import Digest

# Told how many bytes of the blob were read so far, five times a second or more, also while nothing moves. What it
# raises ends the work: nothing of it stays.
Told: TypeAlias = Callable[[int], None]


class Unseatable(Unsupported):
    """A layer that no form without the layers below it can hold: it wants a full tree (the vfs driver)."""


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A verified blob, open at `fd` and read by offset. `compression` is what its media type promises.

    `diff_id` None: the image does not say what it unpacks to. `start` and `size` (bytes) are the window of the file
    that it lies in, as a layer in an archive does; `size` None: to the end of the file. `fd` stays the caller's, and
    open until the layer is committed or discarded, for some layers must be read twice.
    """

    fd: int
    compression: str | None
    diff_id: Digest | None
    start: int = 0
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What one layer came to. `size` is the content of its files in bytes.

    `missing_walls`: what this machine does not have of the jail that unpacking runs in, each with the reason.
    """

    entries: int
    size: int
    altered: tuple[Altered, ...]
    missing_walls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Staged:
    """A layer that is unpacked and in nobody's sight yet. Each driver has its own kind, and takes no other's."""

    layer: str
    blob: LayerBlob


class Driver(Protocol):
    """Keeps unpacked layers. A layer's name is 64 lower-case hexadecimal digits; all names below are such names.

    Of two who work on one layer, one waits: the caller holds the lock of the layer around `unpack` and `commit`, and
    around `remove`. Raises LayerError and VerificationError for what a layer says, StoreError for the disk,
    ContentMissing for a layer that is not here.
    """

    @property
    def name(self) -> str:
        """`overlay`, `vfs`."""
        ...

    def has(self, layer: str) -> bool:
        """Whether it is here, which means: complete."""
        ...

    def layers(self) -> list[str]:
        """All that are here, in order of their names."""
        ...

    def path(self, layer: str) -> Path:
        """Its directory: of the overlay driver what it alone holds, of vfs the tree up to it."""
        ...

    def unpacked(self, layer: str) -> Unpacked:
        """What it came to when it was made."""
        ...

    def parent(self, layer: str) -> str | None:
        """The layer below it."""
        ...

    def sidecar(self, layer: str) -> Path:
        """What this layer says and its directory does not hold; always there, perhaps empty."""
        ...

    def sidecars(self, layer: str) -> list[Path]:
        """The same of all layers that its tree is made of, the lowest first: what is said later wins."""
        ...

    def unpack(self, layer: str, blob: LayerBlob, told: Told) -> Staged:
        """Unpack it where nobody sees it. Blocks; any number of threads may unpack different layers at once."""
        ...

    def commit(self, staged: Staged, parent: str | None, told: Told) -> Unpacked:
        """Set it on its parent, which must be here, and make it exist in one rename. `staged` is used up in any case.

        Raises Unseatable too.
        """
        ...

    def discard(self, staged: Staged) -> None:
        """Remove what was unpacked and is not wanted."""
        ...

    def remove(self, layer: str) -> None:
        """Remove a layer; nothing may stand on it. It is no error if it is gone already."""
        ...

    def sweep(self, free: Callable[[str], AbstractContextManager[bool]]) -> list[str]:
        """Remove what dead processes left; `free` tries a layer's lock, by `layer-<driver>-<layer>`. Whose it was."""
        ...

    def lower(self, layer: str) -> list[Path]:
        """The directories that make its tree when laid over each other, the nearest first: overlayfs's `lowerdir`."""
        ...

    def shown(self, layer: str) -> list[tuple[Path, list[Path]]]:
        """The same directories, each with the sidecars that tell of it, in the order of their layers."""
        ...

    def mount(self, layer: str, target: Path) -> None:
        """Show its whole tree at the directory `target`, read-only. Raises Unsupported where the kernel refuses."""
        ...

    def mounted(self, layer: str) -> AbstractContextManager[Path]:
        """Its whole tree, to be read. Raises Unsupported, with the reason, where this machine cannot show it."""
        ...


@runtime_checkable
class Differ(Protocol):
    """Tells layers apart. A parent of None is the empty tree."""

    def changes(self, layer: str, parent: str | None) -> list[Change]:
        """What `layer` makes different, in order of paths."""
        ...

    def diff(self, layer: str, parent: str | None) -> Iterator[bytes]:
        """The same as a layer: an uncompressed tar archive, in chunks."""
        ...

    def apply(self, layer: str, parent: str | None, blob: LayerBlob, told: Told) -> Unpacked:
        """Make `layer` from `parent` and a blob."""
        ...

    def size(self, layer: str, parent: str | None) -> int:
        """Bytes of content that `layer` holds and `parent` does not."""
        ...
