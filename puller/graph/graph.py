"""DiskGraph: images on disk as Docker 1.8 and 1.9 kept them, file for file (LEGACY.md d.1 to d.4).

Theory of operation. An image is made in `graph/_tmp`, its tree by the driver; it exists when its folder is moved into
`graph/` in one rename, and it is there only while the driver has its tree. So a process that dies leaves nothing that
anybody sees, and a folder in `_tmp` that says whose tree may be left. Nothing found on the disk is trusted: no link is
followed, and no text becomes a path before it was seen to be an ID.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from puller.contracts.graph import GraphDriver, GraphImage, NewImage
from puller.contracts.layers import LayerBlob, Told
from puller.errors import (
    ContentCorrupt,
    ContentMissing,
    InvalidManifest,
    InvalidReference,
    PullerError,
    StoreBusy,
    Unsupported,
)
from puller.graph import files
from puller.graph.failure import translated
from puller.graph.holds import Holds
from puller.graph.layer import layer_of, record_layer
from puller.graph.prefixes import unique
from puller.graph.record import (
    CHECKSUM,
    LAYERSIZE,
    TAR_DATA,
    TARSUM,
    UNKNOWN,
    V1_COMPATIBILITY,
    Record,
    described,
    read_record,
    read_text,
)  # fmt: skip
from puller.graph.scratch import Scratch
from puller.legacy.gotext import shown
from puller.legacy.judge import StoredImage, v1_compatibility_of
from puller.legacy.v1image import V1Image, validate_id

logger = logging.getLogger(__name__)

_ID = re.compile(r"[a-f0-9]{64}", re.ASCII)
_NOT_FOUND = "could not find image: "
UMOUNT = "Take it away there first, with `puller umount`."


def _nowhere(image_id: str) -> str | None:
    return None


class DiskGraph:
    """An ImageGraph. `durable`: an image that is registered survives a power loss. `shown_at` says where the tree of
    an image is mounted, which then stays.
    """

    def __init__(
        self, root: Path, driver: GraphDriver, *, durable: bool = True, shown_at: Callable[[str], str | None] = _nowhere
    ) -> None:
        self._root = root
        self._driver = driver
        self._durable = durable
        self._shown_at = shown_at
        self._graph = root / "graph"
        self._scratch = Scratch(self._graph, durable=durable)
        self._holds = Holds(lambda: self._scratch.locks)
        self._is_swept = False
        self._seen: dict[str, tuple[tuple[int, int], str]] = {}  # what `_parents` read, by image

    @property
    def root(self) -> Path:
        """Docker's root."""
        return self._root

    @property
    def driver(self) -> GraphDriver:
        """What keeps the trees."""
        return self._driver

    def ids(self) -> list[str]:
        """Every image whose tree is here too, in order; its files may be damaged."""
        return sorted(self._known(""))

    def has(self, image_id: str) -> bool:
        """Whether `get` would give it."""
        try:
            self._record(image_id)
        except (ContentMissing, ContentCorrupt):
            return False
        return True

    def get(self, image_id: str) -> GraphImage:
        """The image with exactly this ID; a size that is not known is taken from the tree, and kept."""
        found = self._record(image_id)
        size = self._measured(found) if found.size == UNKNOWN else found.size
        return GraphImage(
            found.image_id,
            found.parent,
            found.config,
            found.image.replaced(Size=size),
            size,
            found.checksum,
            found.v1_compatibility,
        )

    def lookup(self, prefix: str) -> str:
        """The one ID that begins so. Raises ContentMissing and InvalidReference in the original's words."""
        try:
            return unique(prefix, self._known(prefix))
        except (ContentMissing, InvalidReference) as error:
            error.what = f"{_NOT_FOUND}{error.what}"
            raise

    def stored(self, image_id: str) -> StoredImage | None:
        """What `legacy.judge` wants to know of it; None where it is not here. Raises ContentCorrupt."""
        try:
            found = self._record(image_id)
        except ContentMissing:
            return None
        trouble = f"open {self._graph / image_id / V1_COMPATIBILITY}: no such file or directory"
        return StoredImage(found.parent, found.checksum, found.v1_compatibility, trouble)

    def register(self, new: NewImage, layer: LayerBlob | None, told: Told) -> GraphImage:
        """Make an image exist, in one rename; one that is here already stays as it is, and `layer` is not read.

        An image that is damaged is none, and is replaced.
        """
        if self.has(validate_id(new.image_id)):
            return self.get(new.image_id)
        small = described(new)
        self._refuse_read_only()
        with self.holding([new.parent] if new.parent else []):
            if new.parent and not self.has(new.parent):
                raise ContentMissing(f"{_NOT_FOUND}no such id: {shown(new.parent)}", hint="An image needs its parent.")
            with translated(self._graph):
                self._sweep_once()
                self._make(new, small, layer, told)
        return self.get(new.image_id)

    def delete(self, image_id: str, *, orphaning: bool = False) -> None:
        """Remove an image, damaged or not. Raises StoreBusy for one that is held or, unless `orphaning`, has children;
        the original asked nobody.
        """
        if not self._is_here(image_id):
            raise ContentMissing(f"no such id: {shown(image_id)}")
        self._refuse_read_only()
        with translated(self._graph):
            self._sweep_once()
            with self._holds.alone(image_id) as is_alone:
                if not is_alone:
                    hint = "Another verb or process uses it; try again when that has ended."
                    raise StoreBusy("the image is in use", where=image_id, hint=hint)
                shown_at = self._shown_at(image_id)
                if shown_at is not None:
                    raise StoreBusy("the image is mounted", where=image_id, got=shown_at, hint=UMOUNT)
                children = [] if orphaning else self.by_parent().get(image_id, [])
                if children:
                    some = ", ".join(child[:12] for child in children[:3]) + (" …" if len(children) > 3 else "")
                    raise StoreBusy("the image has children", where=image_id, got=some, hint="Remove these first.")
                with self._scratch.withdrawn(image_id):
                    self._driver.remove(image_id)

    def line(self, image_id: str) -> list[GraphImage]:
        """The image and all below it, itself first. Raises ContentCorrupt for an image that is its own ancestor."""
        found: dict[str, GraphImage] = {}
        here = image_id
        while here:
            if here in found:
                raise ContentCorrupt("the image is its own ancestor", where=image_id, got=here)
            found[here] = self.get(here)
            here = found[here].parent
        return list(found.values())

    def by_parent(self) -> dict[str, list[str]]:
        """The children of each image that has any, both in order. Images that are damaged count as none."""
        parents = self._parents()
        found: dict[str, list[str]] = {}
        for image_id, parent in parents.items():
            if parent in parents:
                found.setdefault(parent, []).append(image_id)
        return dict(sorted(found.items()))

    def heads(self) -> list[str]:
        """Images that are nobody's parent, in order. Images that are damaged count as none."""
        parents = self._parents()
        return sorted(parents.keys() - set(parents.values()))

    def set_checksum(self, image_id: str, checksum: str) -> None:
        """Replace its file `checksum`."""
        self._put(image_id, CHECKSUM, checksum.encode())

    def generate_v1_compatibility(self, image_id: str) -> bytes:
        """Its v1Compatibility text: the one that is kept, else made and kept now, for it and all below it."""

        def kept(name: str) -> bytes | None:
            return self._record(name).v1_compatibility

        def image(name: str) -> V1Image:
            return self.get(name).image

        try:
            made = v1_compatibility_of(image_id, image, kept)
        except InvalidManifest as error:
            raise ContentCorrupt(error.what, where=self._graph / image_id, got=error.got) from error
        for name, text in made.items():
            self._put(name, V1_COMPATIBILITY, text)
        return made[image_id] if made else kept(image_id) or b""

    def layer_tar(self, image_id: str) -> Iterator[bytes]:
        """Its layer as an uncompressed archive: byte for byte the one it was registered from where `tar-data.json.gz`
        tells how, else what the driver finds different.
        """
        parent = self._record(image_id).parent
        record = self._opened(image_id, TAR_DATA)
        if record is None:
            yield from self._driver.diff(image_id, parent or None)
        else:
            with translated(self._graph / image_id):
                yield from layer_of(record, lambda name: self._driver.content(image_id, name))

    def is_exact(self, image_id: str) -> bool:
        """Whether `layer_tar` gives the very bytes that were registered."""
        self._record(image_id)
        record = self._opened(image_id, TAR_DATA)
        if record is not None:
            os.close(record)
        return record is not None

    def tarsum(self, image_id: str) -> str | None:
        """The tarsum that was kept beside it."""
        where = self._folder(image_id)
        with translated(where), files.directory(where) as folder:
            return read_text(folder, TARSUM, where)

    def set_tarsum(self, image_id: str, label: str) -> None:
        """Keep a tarsum beside it."""
        self._put(image_id, TARSUM, label.encode())

    @contextmanager
    def holding(self, image_ids: Sequence[str]) -> Iterator[None]:
        """Retain images for as long as the block runs; they need not be here yet."""
        for image_id in image_ids:
            self._folder(image_id)
        with ExitStack() as stack:
            with translated(self._graph):
                stack.enter_context(self._holds.held(image_ids))
            yield

    def is_held(self, image_id: str) -> bool:
        """Whether somebody retains it now."""
        self._folder(image_id)
        with translated(self._graph), self._holds.alone(image_id) as is_alone:
            return not is_alone

    def sweep(self) -> None:
        """Remove what dead processes left; else that is done before the first change."""
        if self._driver.is_writable:
            with translated(self._graph):
                self._is_swept = True
                self._scratch.sweep(self._driver.remove)

    def _known(self, prefix: str) -> set[str]:
        """Every image here whose ID begins so."""
        with translated(self._graph):
            try:
                names = [path.name for path in self._graph.iterdir()]
            except FileNotFoundError:
                return set()
        return {name for name in names if name.startswith(prefix) and self._is_here(name)}

    def _is_here(self, image_id: str) -> bool:
        if not _ID.fullmatch(image_id):
            return False
        with translated(self._graph):
            return files.is_directory(self._graph / image_id) and self._driver.has(image_id)

    def _folder(self, image_id: str) -> Path:
        if not _ID.fullmatch(image_id):
            raise ContentMissing(f"{_NOT_FOUND}no such id: {shown(image_id)}")
        return self._graph / image_id

    def _record(self, image_id: str) -> Record:
        where = self._folder(image_id)
        if not self._is_here(image_id):
            raise ContentMissing(f"{_NOT_FOUND}no such id: {image_id}")
        with translated(where):
            try:
                with files.directory(where) as folder:
                    return read_record(folder, image_id, where)
            except FileNotFoundError:  # removed in this moment
                raise ContentMissing(f"{_NOT_FOUND}no such id: {image_id}") from None

    def _opened(self, image_id: str, name: str) -> int | None:
        where = self._folder(image_id)
        with translated(where), files.directory(where) as folder:
            return files.opened(folder, name)

    def _put(self, image_id: str, name: str, content: bytes) -> None:
        where = self._folder(image_id)
        if not self._is_here(image_id):
            raise ContentMissing(f"{_NOT_FOUND}no such id: {image_id}")
        with translated(where):
            self._scratch.replace(image_id, name, content)

    def _measured(self, found: Record) -> int:
        size = self._driver.size(found.image_id, found.parent or None)
        with suppress(OSError):  # a graph that cannot be written is measured again the next time
            self._scratch.replace(found.image_id, LAYERSIZE, b"%d" % size)
        return size

    def _parents(self) -> dict[str, str]:
        """The parent of every image; a folder in which nothing has changed is not read again."""
        before = self._seen
        seen = {}
        for image_id in self.ids():
            try:
                stamp = self._stamp(image_id)
                known = before.get(image_id)
                seen[image_id] = known if known and known[0] == stamp else (stamp, self._record(image_id).parent)
            except (ContentMissing, ContentCorrupt) as error:
                logger.debug("an image is passed over: %s", error)
        self._seen = seen
        return {image_id: parent for image_id, (_, parent) in seen.items()}

    def _stamp(self, image_id: str) -> tuple[int, int]:
        with translated(self._graph):
            try:
                state = self._folder(image_id).lstat()
            except FileNotFoundError:  # removed in this moment
                raise ContentMissing(f"{_NOT_FOUND}no such id: {image_id}") from None
        return state.st_ino, state.st_mtime_ns

    def _make(self, new: NewImage, small: dict[str, bytes], layer: LayerBlob | None, told: Told) -> None:
        with self._scratch.staged(new.image_id) as staged:
            try:
                # The driver first: it is jailed and has limits, so what is read here in the second pass is bounded.
                self._driver.make(new.image_id, new.parent or None, layer, told)
                size = 0 if layer is None else record_layer(staged.fd, layer, told, durable=self._durable)
                for name, content in {**small, LAYERSIZE: b"%d" % size}.items():
                    files.write(staged.fd, name, content, durable=self._durable)
                self._scratch.publish(staged)
            except BaseException:
                with suppress(PullerError, OSError):  # else the next one to sweep does it
                    self._driver.remove(new.image_id)
                    self._scratch.discard(staged)
                raise

    def _sweep_once(self) -> None:
        if not self._is_swept:
            self.sweep()

    def _refuse_read_only(self) -> None:
        if not self._driver.is_writable:
            raise Unsupported(
                f"images of Docker's {self._driver.name} driver can only be read",
                where=self._root,
                hint="Take them out with `docker save` and load them into a store of puller.",
            )
