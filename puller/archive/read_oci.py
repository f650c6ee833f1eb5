"""OCI image layouts as archives (image-spec image-layout.md): documents and blobs by digest, byte for byte."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from puller.archive.content import ContentImage, Piece, Prover, check_digest
from puller.archive.opened import Archive
from puller.errors import InvalidArchive, InvalidManifest, PullerError, Unsupported
from puller.model.config import ImageConfig, parse_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES, load_document, text_of
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.model.mediatype import OCI_INDEX, OCTETS, is_layer
from puller.model.reference import Reference

LAYOUT: Final = "oci-layout"
INDEX: Final = "index.json"
MAX_NESTING: Final = 4
MAX_DOCUMENTS: Final = 1_000  # of one archive (THREATS C10)
MAX_TOTAL: Final = 32 << 20

_FULL_NAME: Final = "io.containerd.image.name"
_NAME: Final = "org.opencontainers.image.ref.name"


def is_layout(archive: Archive) -> bool:
    """Whether the archive says that it is an image layout."""
    return LAYOUT in archive.members and INDEX in archive.members


def blob_name(digest: Digest) -> str:
    """The member that holds a blob."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest of the layout with its config, where it is an image's."""

    descriptor: Descriptor
    manifest: Manifest
    config: ImageConfig | None
    config_raw: bytes


class Layout:
    """Reads the documents of a layout, each proved by its digest. Blocking."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._count = 0
        self._total = 0

    def entries(self) -> list[Descriptor]:
        """What index.json lists and this program can read. Raises InvalidManifest, Unsupported for another version."""
        mark = load_document(self._archive.read(LAYOUT), what=LAYOUT)
        version = text_of(mark, "imageLayoutVersion", what=LAYOUT)
        if version != "1.0.0":
            raise Unsupported("image layout of another version", wanted="1.0.0", got=version)
        index = parse_manifest(self._archive.read(INDEX, limit=MAX_BYTES), OCI_INDEX)
        if not isinstance(index, Index):
            raise InvalidManifest(f"{INDEX} is no index")
        return list(index.readable)

    def has(self, digest: Digest) -> bool:
        """Whether the archive holds this blob."""
        return blob_name(digest) in self._archive.members

    def read(self, wanted: Descriptor) -> bytes:
        """A document, as it is. Raises DigestMismatch, SizeMismatch, InvalidArchive where it is not there."""
        name = blob_name(wanted.digest)
        raw = self._archive.read(name, limit=MAX_BYTES)
        self._count += 1
        self._total += len(raw)
        if self._count > MAX_DOCUMENTS or self._total > MAX_TOTAL:
            raise Unsupported(
                "too much metadata in one archive", wanted=f"at most {MAX_DOCUMENTS} documents of {MAX_TOTAL} bytes"
            )
        check_digest(name, wanted.digest, Digest.of(raw, wanted.digest.algorithm))
        if wanted.size not in (None, len(raw)):
            raise InvalidManifest("a document of another size", where=name, wanted=wanted.size, got=len(raw))
        return raw

    def document(self, wanted: Descriptor) -> Manifest | Index:
        """A manifest or index."""
        return parse_manifest(self.read(wanted), None if wanted.media_type == OCTETS else wanted.media_type)

    def found(self, descriptor: Descriptor, manifest: Manifest) -> Found:
        """A manifest with its config."""
        if manifest.config is None or not manifest.is_image:
            return Found(descriptor, manifest, None, b"")
        raw = self.read(manifest.config)
        return Found(descriptor, manifest, parse_config(raw), raw)

    def manifests(self, entries: list[Descriptor]) -> Iterator[Found]:
        """All images below `entries` that the archive holds, for those who look for one by its config."""
        waiting = [(entry, 0) for entry in reversed(entries)]
        seen: set[Digest] = set()
        while waiting:
            descriptor, nesting = waiting.pop()
            if descriptor.digest in seen or not self.has(descriptor.digest):
                continue
            seen.add(descriptor.digest)
            document = self.document(descriptor)
            if isinstance(document, Manifest):
                if document.config is None or self.has(document.config.digest):
                    yield self.found(descriptor, document)
            elif nesting < MAX_NESTING:
                waiting += [(child, nesting + 1) for child in reversed(document.readable)]


def read_images(archive: Archive, prover: Prover) -> list[ContentImage]:
    """Every image of the layout, proved: all blobs by digest, the layers of images by diff ID too.

    One that has several names is one image. Raises InvalidManifest, VerificationError, LayerError, Unsupported.
    """
    layout = Layout(archive)
    names: dict[Digest, tuple[Descriptor, dict[Reference, None]]] = {}
    for entry in layout.entries():
        names.setdefault(entry.digest, (entry, {}))[1].update(dict.fromkeys(_names(entry)))
    if not names:
        raise InvalidArchive("the archive names no image", where=INDEX)
    return [_Gathering(archive, layout, prover).image(entry, tuple(known)) for entry, known in names.values()]


def _names(entry: Descriptor) -> list[Reference]:
    """The name of an entry: its full one, or what follows the layout's rule and is more than a tag alone."""
    for key in (_FULL_NAME, _NAME):
        text = entry.annotations.get(key, "")
        if text and (key == _FULL_NAME or any(mark in text for mark in ":/@")):
            return [Reference.parse(text).tagged()]
    return []


class _Gathering:
    """Gathers the pieces of one image or index."""

    def __init__(self, archive: Archive, layout: Layout, prover: Prover) -> None:
        self._archive = archive
        self._layout = layout
        self._prover = prover
        self._pieces: dict[Digest, Piece] = {}
        self._absent: list[tuple[Digest, tuple[Digest, ...]]] = []

    def image(self, entry: Descriptor, names: tuple[Reference, ...]) -> ContentImage:
        """All of it."""
        document = self._layout.document(entry)
        self._add(entry, document, 0)
        plain = Descriptor(document.media_type, entry.digest, len(document.raw))
        own = document.config if isinstance(document, Manifest) else None
        image_id = plain.digest if own is None else own.digest
        return ContentImage(plain, image_id, names, tuple(self._pieces.values()), tuple(self._absent))

    def _add(self, descriptor: Descriptor, document: Manifest | Index, nesting: int) -> None:
        if isinstance(document, Manifest):
            for piece in image_pieces(self._archive, self._prover, self._layout.found(descriptor, document)):
                self._pieces.setdefault(piece.descriptor.digest, piece)
        else:
            self._add_children(document, nesting)
            if self._layout.has(descriptor.digest):
                here = {entry.digest for entry in document.readable if self._layout.has(entry.digest)}
                absent = tuple(entry.digest for entry in document.manifests if entry.digest not in here)
                self._absent.append((descriptor.digest, absent))
        plain = Descriptor(document.media_type, descriptor.digest, len(document.raw))
        self._pieces.setdefault(descriptor.digest, Piece(plain, document.raw))

    def _add_children(self, index: Index, nesting: int) -> None:
        if nesting >= MAX_NESTING:
            raise Unsupported("index within index", wanted=f"at most {MAX_NESTING} deep")
        here = [entry for entry in index.readable if self._layout.has(entry.digest)]
        if not here:
            raise InvalidArchive("the archive holds none of the images of an index")
        for entry in here:
            self._add(entry, self._layout.document(entry), nesting + 1)


def image_pieces(archive: Archive, prover: Prover, found: Found) -> list[Piece]:
    """The blobs of one manifest, proved, without the manifest itself. Raises as `read_images`."""
    manifest, config = found.manifest, found.config
    pieces = []
    diff_ids: tuple[Digest | None, ...] = (None,) * len(manifest.layers)
    if config is not None:
        if len(config.diff_ids) != len(manifest.layers):
            raise InvalidManifest(
                "manifest and config disagree on the number of layers",
                wanted=f"{len(config.diff_ids)} diff IDs of the config",
                got=f"{len(manifest.layers)} layers",
            )
        diff_ids = config.diff_ids
    for layer, diff_id in zip(manifest.layers, diff_ids, strict=True):
        member = archive.members.file(blob_name(layer.digest))
        try:
            pieces.append(prover.blob(member, layer, diff_id if is_layer(layer.media_type) else None))
        except PullerError as error:
            raise error.at(digest=layer.digest) from error.__cause__
    if config is not None and manifest.config is not None:
        pieces.append(Piece(manifest.config, found.config_raw))
    elif manifest.config is not None:
        member = archive.members.file(blob_name(manifest.config.digest))
        pieces.append(prover.blob(member, manifest.config, None))
    return pieces
