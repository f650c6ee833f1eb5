"""Tags: `index.json`, the names of a store, moved by replacing the whole file under a lock.

A name is the full canonical reference in `org.opencontainers.image.ref.name` (image-layout.md, "index.json File").
Entries and keys that other tools wrote are kept as they are.
"""

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from anyio.lowlevel import checkpoint_if_cancelled

from puller.errors import ContentCorrupt, ContentMissing, DigestMismatch, InvalidManifest
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import list_of, load_document
from puller.store.failure import translated
from puller.store.files import Files
from puller.store.layout import Layout
from puller.store.locks import Locks
from puller.store.naming import REF_NAME, by_name
from puller.store.worker import Worker

logger = logging.getLogger(__name__)

LIMIT = 64 << 20
_HINT = (
    "The blobs are not touched. Put index.json back from a copy, "
    "or replace it by an empty one and pull again: nothing that is here is fetched twice."
)

T = TypeVar("T")
Document: TypeAlias = dict[str, Any]


class Tags:
    """The names of one store. Every reader sees the old or the new index, whole."""

    def __init__(self, files: Files, layout: Layout, locks: Locks, worker: Worker, *, durable: bool) -> None:
        self._files = files
        self._layout = layout
        self._locks = locks
        self._worker = worker
        self._durable = durable
        # What the file held last: to read it for each of a thousand names would be work for a million.
        self._known: tuple[bytes, Document] | None = None
        self._decoded: tuple[Document, tuple[Descriptor, ...], tuple[Document, ...]] | None = None

    async def entries(self) -> tuple[Descriptor, ...]:
        """Every entry that can be read, nameless ones included. Raises ContentCorrupt for an index that cannot."""
        return (await self.all())[0]

    async def all(self) -> tuple[tuple[Descriptor, ...], tuple[Document, ...]]:
        """As `entries`, and those that cannot be read (another tool's digest algorithm, say), as they are."""
        document = await self._load()
        decoded = self._decoded
        if decoded is None or decoded[0] is not document:
            decoded = document, *await self._worker.run(self._checked, lambda: decode(document))
            self._decoded = decoded
        return decoded[1:]

    async def put(self, entry: Descriptor) -> None:
        """Add `entry`, which bears its name, in the place of all others of that name."""
        await self._change(lambda document: with_entry(document, entry))

    async def list(self, entry: Descriptor) -> None:
        """Add `entry`, which bears no name, unless its content is listed already."""

        def change(document: Document) -> Document | None:
            if any(known.digest == entry.digest for known in decode(document)[0]):
                return None
            return document | {"manifests": [*_entries(document), entry.encode()]}

        await self._change(change)

    async def take(self, names: Sequence[str]) -> Descriptor:
        """Remove the first of `names` that is there; what it named. Raises ContentMissing."""
        found: list[Descriptor] = []

        def change(document: Document) -> Document:
            known = by_name(decode(document)[0])
            for name in names:
                if name in known:
                    found.append(known[name])
                    return without_name(document, name)
            raise ContentMissing("the store has no such name", reference=names[0])

        await self._change(change)
        return found[0]

    async def drop(self, name: str, expected: Digest) -> None:
        """Remove `name` and nothing else; it is no error if it is gone. Raises DigestMismatch for another content."""

        def change(document: Document) -> Document | None:
            known = by_name(decode(document)[0]).get(name)
            if known is None:
                return None
            if known.digest != expected:
                what = "the name stands for something else by now"
                raise DigestMismatch(what, where=name, wanted=expected, got=known.digest)
            return without_name(document, name)

        await self._change(change)

    async def _change(self, change: Callable[[Document], Document | None]) -> None:
        async with self._locks.held(self._layout.locks / "index"):
            document = await self._load()
            changed = await self._worker.run(self._checked, lambda: change(document))
            if changed is None:
                return
            content = await self._worker.run(_encode, changed)
            with translated():
                await self._files.replace(
                    self._layout.index,
                    content,
                    scratch=self._layout.scratch("index.json"),
                    durable=self._durable,
                    mode=0o644,
                )
            self._known = content, changed

    async def _load(self) -> Document:
        """The file as it is now, parsed unless these are the bytes of the last time. Nobody changes what it gives."""
        raw, known = await self._read(), self._known
        if known is not None and known[0] == raw:
            await checkpoint_if_cancelled()  # reading is shielded
            return known[1]
        document = await self._worker.run(self._checked, lambda: load(raw))
        self._known = raw, document
        return document

    async def _read(self) -> bytes:
        with translated():
            raw = await self._files.read(self._layout.index, limit=LIMIT)
        if raw is None:
            raise ContentCorrupt("the store's index.json is gone", where=self._layout.index, hint=_HINT)
        return raw

    def _checked(self, function: Callable[[], T]) -> T:
        try:
            return function()
        except InvalidManifest as error:
            raise ContentCorrupt(
                "the store's index.json is damaged", where=self._layout.index, got=str(error), hint=_HINT
            ) from error


def load(raw: bytes) -> Document:
    """Read an index strictly, its entries as they are. Raises InvalidManifest."""
    document = load_document(raw, what="index.json", limit=LIMIT)
    if document.get("schemaVersion") != 2 or isinstance(document.get("schemaVersion"), bool):
        raise InvalidManifest("index.json: schemaVersion must be 2", got=repr(document.get("schemaVersion"))[:40])
    if not all(isinstance(entry, dict) for entry in _entries(document)):
        raise InvalidManifest("index.json: manifests must hold objects only")
    return document


def decode(document: Document) -> tuple[tuple[Descriptor, ...], tuple[Document, ...]]:
    """The entries as descriptors, and those that are none. The latter are told in the log and harm no others."""
    read: list[Descriptor] = []
    odd: list[Document] = []
    for position, entry in enumerate(_entries(document)):
        try:
            read.append(Descriptor.decode(entry, what=f"index.json manifests[{position}]"))
        except InvalidManifest as error:
            logger.warning("an entry of the store's index is passed over: %s", error)
            odd.append(entry)
    return tuple(read), tuple(odd)


def with_entry(document: Document, entry: Descriptor) -> Document:
    """`document` with the name of `entry` on it alone."""
    others = without_name(document, entry.annotations[REF_NAME])
    return others | {"manifests": [*_entries(others), entry.encode()]}


def without_name(document: Document, name: str) -> Document:
    """`document` without the entries under `name`."""
    return document | {"manifests": [entry for entry in _entries(document) if _name_of(entry) != name]}


def _name_of(entry: Document) -> object:
    annotations = entry.get("annotations")
    return annotations.get(REF_NAME) if isinstance(annotations, dict) else None


def _entries(document: Document) -> list[Any]:
    return list_of(document, "manifests", what="index.json", default=True)


def _encode(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
