"""What an archive has to copy: its images by name, and all they are made of by digest. Everything here blocks.

An image layout is taken as it is: whoever copies verifies. An archive of Docker's has no digests of layers, so these
are read once to find them, and each is held to its diff ID; the image is then what `puller load` makes of it.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol

from puller.archive.content import LAYER_TYPES, ContentImage, Piece, Prover
from puller.archive.item import Stream
from puller.archive.opened import Archive
from puller.archive.read_docker import Listed, is_docker, read_images, read_listed
from puller.archive.read_graph import Folder, image_folders, read_folders, read_names
from puller.archive.read_oci import Layout, blob_name, is_layout
from puller.errors import InputError, InvalidArchive, InvalidConfig, InvalidReference, VerificationError
from puller.legacy import tarball
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import Index, Manifest, kind_of, parse_manifest
from puller.model.mediatype import OCI_CONFIG, OCI_MANIFEST, OCTETS
from puller.model.reference import Reference, is_tag
from puller.model.referrer import tag_of
from puller.ops.loading.blame import said_by_archive
from puller.ops.saving.modernise import LAYER, Form, Old, Plain, encode_manifest, modernised
from puller.stream.inflate import Compression
from puller.stream.sink import Pulse, Sink, unwatched

# As containerd and so Docker name what they export; the layout's own key holds a tag alone, or a full name as well.
_FULL_NAME: Final = "io.containerd.image.name"
_NAME: Final = "org.opencontainers.image.ref.name"
_KEPT: Final[tuple[Compression, ...]] = ("none", "gzip", "zstd")
_COMPRESSIONS: Final[dict[str, Compression]] = {LAYER_TYPES[compression]: compression for compression in _KEPT}


@dataclass(frozen=True, slots=True)
class Name:
    """One name in an archive: as a whole, where it is one, or a tag alone. `image` counts the images of the archive."""

    tag: str | None
    reference: Reference | None
    image: int


class Content(Protocol):
    """One archive."""

    @property
    def names(self) -> Sequence[Name]:
        """All names, in the order of the archive."""
        ...

    @property
    def images(self) -> int:
        """How many images it lists."""
        ...

    def image(self, place: int) -> Descriptor:
        """One of these."""
        ...

    def manifest(self, digest: Digest) -> Descriptor | None:
        """What lies under this digest, as a manifest or index if it is one."""
        ...

    def piece(self, digest: Digest) -> Piece | None:
        """The bytes of this digest."""
        ...

    def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """What refers to `subject`."""
        ...


def content_of(archive: Archive, *, form: Form, made: Form, pulse: Pulse = unwatched) -> Content:
    """The content of an archive that is said to be of this `form`; where it has no manifests, these are `made`.

    Raises InvalidConfig for another form, and what is wrong with its documents.
    """
    if form == "oci" and not is_layout(archive):
        raise InvalidConfig("the archive is no OCI image layout", hint="An archive of Docker's is `docker-archive:`.")
    with said_by_archive():
        if form == "oci":
            return LayoutContent(archive)
        if is_docker(archive):
            return DockerContent(archive, made, pulse)
        if not is_layout(archive) and image_folders(archive):
            return OldContent(archive, made, pulse)
    hint = "An OCI image layout is `oci-archive:`." if is_layout(archive) else ""
    raise InvalidConfig("the archive is none of docker save", wanted=tarball.MANIFEST, hint=hint)


class LayoutContent:
    """An OCI image layout."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._layout = Layout(archive)
        entries: dict[Digest, Descriptor] = {}
        self.names: list[Name] = []
        places: dict[Digest, int] = {}
        for entry in self._layout.entries():
            entries.setdefault(entry.digest, entry)
            self.names += _names_of(entry, places.setdefault(entry.digest, len(places)))
        self._entries = list(entries.values())
        self._manifests: dict[Digest, Descriptor] = {}
        self._referrers: dict[Digest, dict[Digest, Descriptor]] | None = None

    @property
    def images(self) -> int:
        """See Content."""
        return len(self._entries)

    def image(self, place: int) -> Descriptor:
        """See Content. Raises InvalidArchive where it is listed and not there."""
        entry = self._entries[place]
        size = self._archive.members.file(blob_name(entry.digest)).size
        kind = self._layout.document(entry).media_type if entry.media_type == OCTETS else entry.media_type
        return Descriptor(kind, entry.digest, size)

    def manifest(self, digest: Digest) -> Descriptor | None:
        """See Content."""
        if not self._layout.has(digest):
            return None
        for place, entry in enumerate(self._entries):
            if entry.digest == digest:
                return self.image(place)
        if digest not in self._manifests:
            size = self._archive.members.file(blob_name(digest)).size
            self._manifests[digest] = Descriptor(self._kind(digest, size), digest, size)
        return self._manifests[digest]

    def _kind(self, digest: Digest, size: int) -> str:
        if size > MAX_BYTES:
            return OCTETS
        try:
            return kind_of(self._layout.read(Descriptor(OCTETS, digest, size)))
        except (InputError, VerificationError):
            return OCTETS

    def piece(self, digest: Digest) -> Piece | None:
        """See Content."""
        if not self._layout.has(digest):
            return None
        member = self._archive.members.file(blob_name(digest))
        return Piece(Descriptor(OCTETS, digest, member.size), member=member)

    def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """See Content. They are listed by the layout itself, or in an index under the fallback tag."""
        if self._referrers is None:
            self._referrers = {}
            for entry in self._entries:
                if self._layout.has(entry.digest):
                    self._note(entry, self._layout.document(entry))
        found = self._referrers.get(subject, {})
        for name in self.names:
            if name.tag == tag_of(subject):
                document = self._layout.document(self._entries[name.image])
                listed = document.readable if isinstance(document, Index) else ()
                found = {entry.digest: entry for entry in listed if self._layout.has(entry.digest)} | found
        return list(found.values())

    def _note(self, entry: Descriptor, document: Manifest | Index) -> None:
        if document.subject is None:
            return
        assert self._referrers is not None
        found = Descriptor(
            document.media_type,
            entry.digest,
            len(document.raw),
            document.annotations,
            artifact_type=document.artifact_type,
        )
        self._referrers.setdefault(document.subject.digest, {})[entry.digest] = found


def _names_of(entry: Descriptor, image: int) -> list[Name]:
    """The name of an entry; what is neither a tag nor a whole name is another tool's business (THREATS A5)."""
    texts = [entry.annotations.get(key, "") for key in (_FULL_NAME, _NAME)]
    tag = next((text for text in texts if is_tag(text)), None)
    for text in texts:
        if any(mark in text for mark in ":/@"):
            with suppress(InvalidReference):
                reference = Reference.parse(text).tagged()
                return [Name(tag or reference.tag, reference, image)]
    return [] if tag is None else [Name(tag, None, image)]


class _Proved:
    """Images that are read and proved when they are wanted first."""

    def __init__(self, names: Sequence[tuple[Reference, int]], images: Sequence[Callable[[], ContentImage]]) -> None:
        self.names = [Name(reference.tag, reference, place) for reference, place in names]
        self._making = images
        self._made: dict[int, ContentImage] = {}
        self._pieces: dict[Digest, Piece] = {}

    @property
    def images(self) -> int:
        """See Content."""
        return len(self._making)

    def image(self, place: int) -> Descriptor:
        """See Content. Raises VerificationError, LayerError, InvalidManifest for what is wrong with it."""
        if place not in self._made:
            made = self._making[place]()
            self._pieces.update((piece.descriptor.digest, piece) for piece in made.pieces)
            self._made[place] = made
        return self._made[place].root

    def manifest(self, digest: Digest) -> Descriptor | None:
        """See Content. Which digests there are shows only when all images have been read."""
        for place in range(self.images):
            if self.image(place).digest == digest:
                return self.image(place)
        piece = self._pieces.get(digest)
        return None if piece is None else piece.descriptor

    def piece(self, digest: Digest) -> Piece | None:
        """See Content. Of images that were asked for."""
        return self._pieces.get(digest)

    def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """See Content: these archives have none."""
        return ()


class DockerContent(_Proved):
    """An archive of `docker save` since 1.10, of podman or skopeo."""

    def __init__(self, archive: Archive, made: Form, pulse: Pulse = unwatched) -> None:
        prover = Prover(archive, pulse=pulse)
        # Images that a graph would keep under their old IDs are of today as well, by the config that is listed.
        listed = list(_by_image(replace(one, graph_id=None) for one in read_listed(archive)))
        names = [(name, place) for place, one in enumerate(listed) for name in one.entry.names]
        super().__init__(names, [_Docker(archive, one, prover, made) for one in listed])


@dataclass(frozen=True, slots=True)
class _Docker:
    archive: Archive
    one: Listed
    prover: Prover
    made: Form

    def __call__(self) -> ContentImage:
        (image,) = read_images(self.archive, [self.one], self.prover)
        return _as_oci(image) if image.is_made and self.made == "oci" else image


def _as_oci(image: ContentImage) -> ContentImage:
    """The same with a manifest of OCI's, as `puller convert` makes it; config and layers stay the bytes they are."""
    kept = {piece.descriptor.digest: piece for piece in image.pieces}
    manifest = parse_manifest(kept.pop(image.root.digest).content or b"", image.root.media_type)
    assert isinstance(manifest, Manifest)
    layers = [replace(layer, media_type=LAYER["oci"][_COMPRESSIONS[layer.media_type]]) for layer in manifest.layers]
    config = Descriptor(OCI_CONFIG, image.image_id, kept[image.image_id].descriptor.size)
    raw = encode_manifest("oci", config, layers)
    root = Descriptor(OCI_MANIFEST, Digest.of(raw), len(raw))
    return replace(image, root=root, pieces=(*kept.values(), Piece(root, raw)))


def _by_image(listed: Iterable[Listed]) -> Iterable[Listed]:
    """Each image once, with all of its names."""
    found: dict[tuple[bytes, tuple[str, ...]], Listed] = {}
    for one in listed:
        key = one.config, one.entry.layers
        earlier = found.get(key)
        names = one.entry.names if earlier is None else (*earlier.entry.names, *one.entry.names)
        found[key] = replace(one, entry=replace(one.entry, names=tuple(dict.fromkeys(names))))
    return found.values()


class OldContent(_Proved):
    """An archive of `docker save` before 1.10: its images are turned into those that `puller convert` makes."""

    def __init__(self, archive: Archive, made: Form, pulse: Pulse = unwatched) -> None:
        prover = Prover(archive, pulse=pulse)
        folders = read_folders(archive, image_folders(archive))
        parents = {image_id: folder.image.parent for image_id, folder in folders.items()}
        tarball.in_order(parents, lambda image_id: False)
        named = read_names(archive)
        for reference, image_id in named.items():
            if image_id not in folders:
                raise InvalidArchive("a name for an image that is not in the archive", where=reference, got=image_id)
        below = set(parents.values())
        tops = list(dict.fromkeys([*named.values(), *(one for one in folders if one not in below)]))
        names = [(reference, tops.index(image_id)) for reference, image_id in named.items()]
        super().__init__(names, [_OldImage(_line(top, folders), prover, made) for top in tops])


def _line(image_id: str, folders: dict[str, Folder]) -> list[Folder]:
    """An image and all it stands on, base first."""
    line: list[Folder] = []
    while image_id:
        line.append(folders[image_id])
        image_id = folders[image_id].image.parent
    return line[::-1]


@dataclass(frozen=True, slots=True)
class _OldImage:
    line: Sequence[Folder]
    prover: Prover
    made: Form

    def __call__(self) -> ContentImage:
        pieces: dict[Digest, Piece] = {}
        chain = []
        for folder in self.line:
            piece = self.prover.found(folder.layer)
            digest, size = piece.descriptor.digest, piece.descriptor.size
            assert piece.facts.diff_id is not None
            assert size is not None
            plain = Plain(_COMPRESSIONS[piece.descriptor.media_type], Stream(size, digest, _unfed), piece.facts.diff_id)
            chain.append(Old(folder.image.id, folder.image.encode(), plain))
            pieces[digest] = piece
        modern = modernised(chain, self.made)
        layers = [pieces[digest] for digest in modern.blobs]
        documents = [Piece(modern.config, modern.config_raw), Piece(modern.descriptor, modern.manifest)]
        return ContentImage(modern.descriptor, modern.config.digest, (), (*layers, *documents), is_made=True)


async def _unfed(sink: Sink) -> None:
    """Layers of these images are read as pieces."""
    raise NotImplementedError
