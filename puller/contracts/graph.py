"""Seams for the image graph of Docker 1.8/1.9: images under their old IDs (ImageGraph), their trees (GraphDriver),
their names (TagStore). Blocking: called in worker threads. IDs are 64 lower-case hexadecimal digits throughout.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from puller.contracts.layers import LayerBlob, Told, Unpacked
from puller.legacy.judge import StoredImage
from puller.legacy.v1image import V1Image
from puller.model.alteration import Altered
from puller.model.digest import Digest

# Directories that make one tree, the nearest first, in overlayfs's form; each with the sidecars that tell of it.
OpenTree: TypeAlias = Sequence[tuple[int, Sequence[Path | int]]]

# Holds the lock of the image with this ID, for the block, if it is free; whether it was.
Free: TypeAlias = Callable[[str], AbstractContextManager[bool]]


def nobody_works(image_id: str) -> AbstractContextManager[bool]:
    """Every lock is free."""
    return nullcontext(True)


class GraphDriver(Protocol):
    """Keeps the tree of every image as a storage driver of Docker 1.8/1.9 did, found and left where Docker has it.

    Raises as Driver does; Unsupported, with a hint that names `docker save`, where it can only be read.
    """

    @property
    def name(self) -> str:
        """`vfs`, `overlay`, `aufs`."""
        ...

    @property
    def is_writable(self) -> bool:
        """Whether `make` and `remove` work."""
        ...

    def has(self, image_id: str) -> bool:
        """Whether its tree is here."""
        ...

    def make(self, image_id: str, parent: str | None, blob: LayerBlob | None, told: Told) -> Unpacked:
        """The tree of `parent` with a layer on it; complete or absent. `blob` None: the tree of the parent as it is.

        What is there already under this ID is a left-over, and is replaced.
        """
        ...

    def remove(self, image_id: str) -> None:
        """Remove a tree. It is no error if it is gone already."""
        ...

    def sweep(self, free: Free = nobody_works, *, dry_run: bool = False) -> list[str]:
        """Remove what dead processes left, never what Docker made; `free` tries the lock of an image. Whose it was."""
        ...

    @property
    def shows_trees(self) -> bool:
        """Whether `opened` works: some drivers have of each image its own layer alone."""
        ...

    def opened(self, image_id: str) -> AbstractContextManager[OpenTree]:
        """Its whole tree, to be read while the block runs."""
        ...

    def content(self, image_id: str, path: bytes) -> int:
        """A descriptor, to be closed by the caller, of the regular file at `path` as this image's own layer put it
        there; `path` as an archive names it. Strictly inside the tree, no link followed out of it.

        Raises ContentCorrupt where there is no such file.
        """
        ...

    def diff(self, image_id: str, parent: str | None) -> Iterator[bytes]:
        """What the image holds and `parent` does not, as an uncompressed layer."""
        ...

    def diff_id(self, image_id: str) -> Digest | None:
        """What the layer was whose tree `make` has made, uncompressed; None for trees that Docker made."""
        ...

    def altered(self, image_id: str) -> tuple[Altered, ...]:
        """What the tree that `make` has made does not show of its layer; of trees that Docker made nothing is known."""
        ...

    def size(self, image_id: str, parent: str | None) -> int:
        """Bytes of content in the files that the image holds and `parent` does not."""
        ...


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to be registered. `config` is kept unchanged as its `json`; None: what `image` encodes to.

    `parent` is empty for a base. `checksum` and `v1_compatibility` are written with it where they are given.
    """

    image_id: str
    parent: str
    config: bytes | None = None
    image: V1Image | None = None
    checksum: str | None = None
    v1_compatibility: bytes | None = None


@dataclass(frozen=True, slots=True)
class GraphImage:
    """One image of a graph. `config` is the file `json`, `image` what the struct took from it, with its ID and parent
    as the graph has them; `size` is that of its layer's content in bytes. `parent` is empty for a base.
    """

    image_id: str
    parent: str
    config: bytes
    image: V1Image
    size: int
    checksum: str | None
    v1_compatibility: bytes | None


class ImageGraph(Protocol):
    """Images on disk, file for file as Docker 1.8/1.9 kept them (LEGACY.md d.1). The caller holds the lock of an image
    around `register`, `delete` and the setters.

    Raises ContentMissing for an image that is not here, ContentCorrupt for files that are damaged, StoreError.
    """

    @property
    def root(self) -> Path:
        """Docker's root: what `graph/` and the driver's directory lie in."""
        ...

    @property
    def driver(self) -> GraphDriver: ...

    def ids(self) -> list[str]:
        """Every image whose tree is here too, in order."""
        ...

    def has(self, image_id: str) -> bool:
        """Whether `get` would give it."""
        ...

    def get(self, image_id: str) -> GraphImage:
        """The image with exactly this ID."""
        ...

    def lookup(self, prefix: str) -> str:
        """The one ID that begins so. Raises InvalidReference where several do."""
        ...

    def stored(self, image_id: str) -> StoredImage | None:
        """What `legacy.judge` wants to know of it; None where it is not here."""
        ...

    def register(self, new: NewImage, layer: LayerBlob | None, told: Told) -> GraphImage:
        """Make an image exist, in one rename; one that is here already stays as it is. `layer` None: it has none.

        The parent must be here. Raises as GraphDriver.make does; then nothing is left.
        """
        ...

    def delete(self, image_id: str) -> None:
        """Remove an image. Raises StoreBusy for one that is held, or that has children."""
        ...

    def line(self, image_id: str) -> list[GraphImage]:
        """The image and all below it, itself first. Raises ContentCorrupt for an image that is its own ancestor."""
        ...

    def by_parent(self) -> dict[str, list[str]]:
        """The children of each image that has any, both in order."""
        ...

    def heads(self) -> list[str]:
        """Images that are nobody's parent, in order."""
        ...

    def set_checksum(self, image_id: str, checksum: str) -> None:
        """Replace its file `checksum`."""
        ...

    def generate_v1_compatibility(self, image_id: str) -> bytes:
        """Its v1Compatibility text: the one that is kept, else made and kept now, for it and all below it."""
        ...

    def layer_tar(self, image_id: str) -> Iterator[bytes]:
        """Its layer as an uncompressed archive, in chunks of about 1 MiB: byte for byte the one it was registered
        from where `tar-data.json.gz` tells how, else what the driver finds different.

        Raises ContentCorrupt where a file's checksum is no longer right.
        """
        ...

    def is_exact(self, image_id: str) -> bool:
        """Whether `layer_tar` gives the very bytes that were registered."""
        ...

    def tarsum(self, image_id: str) -> str | None:
        """The tarsum that was kept beside it (never in `json` or `checksum`)."""
        ...

    def set_tarsum(self, image_id: str, label: str) -> None: ...

    def holding(self, image_ids: Sequence[str]) -> AbstractContextManager[None]:
        """Retain images for as long as the block runs, against every process that would delete them."""
        ...

    def is_held(self, image_id: str) -> bool:
        """Whether somebody retains it now."""
        ...

    def sweep(self) -> None:
        """Remove what dead processes left of images that they made or removed, their trees included."""
        ...


class TagStore(Protocol):
    """The file `repositories-<driver>`: names of images (LEGACY.md d.5). The caller holds its lock around changes.

    Repository names are normalised (`docker.io/library/x` is `x`); a ref is a tag or a digest. InvalidReference in the
    original's words for names that cannot be.
    """

    def repositories(self) -> dict[str, dict[str, str]]:
        """Repository to ref to image ID, as the file says now."""
        ...

    def get(self, repository: str, ref: str) -> str | None:
        """The image ID."""
        ...

    def lookup(self, name: str) -> str:
        """The image ID that a name as people type it stands for, or a unique prefix of one. Raises ContentMissing."""
        ...

    def tag(self, repository: str, ref: str, image: str, *, force: bool = True) -> str | None:
        """Name an image, which may be given by name or prefix; the ID that had the name before, if another.

        Raises InvalidReference for a name in use unless `force`.
        """
        ...

    def set_digest(self, repository: str, digest: str, image: str) -> None:
        """Name an image by the digest of its manifest. Raises InvalidReference where that names another one."""
        ...

    def replace(self, names: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
        """Set many (repository, ref) at once, in one rename; which of them had named another image, and which."""
        ...

    def remove(self, repository: str, ref: str) -> bool:
        """Take a name away, and the repository with its last one; whether it was there."""
        ...

    def names_of(self, image_id: str) -> list[tuple[str, str]]:
        """Every (repository, ref) that names this image, in order."""
        ...
