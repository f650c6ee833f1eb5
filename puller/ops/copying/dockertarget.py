"""DockerArchiveTarget: an archive of `docker save`, old and new in one, written while its layers come.

A layer is unpacked on its way and put beside the others under its diff ID, as skopeo does (containers/image,
docker/internal/tarfile/writer.go); folders of old readers have links to them. Nothing is stored on the way.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from puller.archive.dockerform import SavedImage, SavedLayer, docker_items
from puller.archive.growing import GrowingArchive
from puller.archive.item import seconds
from puller.contracts.content import Ingest
from puller.errors import (
    ContentUnknown,
    InputError,
    InvalidManifest,
    InvalidReference,
    LayerError,
    PullerError,
    Unsupported,
)
from puller.legacy.modern import folders
from puller.model import mediatype
from puller.model.config import ImageConfig, parse_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.facts import Facts
from puller.model.manifest import Index, Manifest
from puller.model.reference import Reference, is_tag
from puller.ops.copying.archivetarget import ArchiveTarget, DocumentIngest, Kept, Member, checked_document
from puller.ops.graphs.places import place_of
from puller.ops.pulling.watch import check_diff_id, stop_when_cancelled
from puller.stream.inflate import Inflate
from puller.stream.layer import MAX_UNPACKED
from puller.stream.sink import Chunk, Digester, Sink, Tee

_CONFIGS = mediatype.CONFIGS | mediatype.EARLY_DOCKER_CONFIGS


@dataclass(slots=True)
class _Image:
    config: ImageConfig
    names: set[Reference] = field(default_factory=set)


class DockerArchiveTarget(ArchiveTarget):
    """An ImageTarget. `repository` is what its tags are tags of: names are whole in such an archive."""

    def __init__(self, place: str, archive: GrowingArchive, repository: Reference | None = None) -> None:
        super().__init__(place, archive)
        self._repository = repository
        self._diff_ids: dict[Digest, Digest] = {}  # by the blob it came as
        self._layers: set[Digest] = set()  # the diff IDs that have a member
        self._configs: dict[Digest, bytes] = {}
        self._images: dict[Digest, _Image] = {}  # by manifest

    @property
    def is_empty(self) -> bool:
        """Whether no image was put."""
        return not self._images

    @asynccontextmanager
    async def ingest(self, expected: Descriptor, *watchers: Sink) -> AsyncIterator[Ingest | None]:
        """See Target. One at a time. Raises Unsupported for what such an archive has no place for."""
        if expected.media_type in mediatype.DOCUMENTS:
            yield None if expected.digest in self._images else DocumentIngest(expected, watchers, self.put_manifest)
            return
        async with self._written(expected, watchers, lambda: self._begun(expected)) as ingest:
            yield ingest

    async def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Name an image that was put. Raises ContentUnknown where it is not here."""
        if descriptor.digest not in self._images:
            raise ContentUnknown("only what is there can be named", where=self._place, digest=descriptor.digest)
        self._name(reference.tagged(), descriptor.digest)

    async def named(self, tag: str) -> Digest | None:
        """What a name was given to."""
        reference = self._reference(tag)
        return next((digest for digest, image in self._images.items() if reference in image.names), None)

    async def put_manifest(self, raw: bytes, descriptor: Descriptor, name: str) -> None:
        """Put an image under `name`: a tag, a whole name, or its digest.

        Raises ContentUnknown where its config or a layer was not brought, DiffIDMismatch where these are not the layers
        of the config, Unsupported for what is no image, or has no layers.
        """
        document = checked_document(raw, descriptor)
        if isinstance(document, Index):
            hint = "Choose a platform."
            raise Unsupported("an archive of Docker's holds no index", digest=descriptor.digest, hint=hint)
        if document.subject is not None or document.config is None or not document.is_image or not document.layers:
            hint = "An `oci-archive:` holds it."
            what = "an archive of Docker's holds nothing but images with layers"
            raise Unsupported(what, got=document.artifact_type, digest=descriptor.digest, hint=hint)
        config = self._config(document, document.config.digest)
        self._check_layers(document, config)
        reference = None if name == str(descriptor.digest) else self._reference(name)
        self._images.setdefault(descriptor.digest, _Image(config))
        if reference is not None:
            self._name(reference, descriptor.digest)

    def finish(self) -> None:
        """Write what stands at the end. Blocking; nothing may be brought any more."""
        saved = [_saved(image) for image in self._images.values()]
        for item in docker_items(saved, here={diff_id: _path(diff_id) for diff_id in self._layers}):
            self._archive.add(item)
        self._archive.finish()

    # --- inside ---

    def _begun(self, expected: Descriptor) -> Member:
        if mediatype.is_layer(expected.media_type):
            return _Layer(self._archive, expected, self._landed)
        if expected.media_type in _CONFIGS and (expected.size is None or expected.size <= MAX_BYTES):
            return Kept(partial(self._configs.__setitem__, expected.digest))
        hint = "An `oci-archive:` holds it."
        what = "an archive of Docker's has no place for this"
        raise Unsupported(what, got=expected.media_type, digest=expected.digest, hint=hint)

    def _landed(self, blob: Digest, diff_id: Digest) -> None:
        """A layer is whole: it gets its name, or is taken back where it is here as another blob."""
        if diff_id in self._layers:
            self._archive.undo()
        else:
            self._archive.end(_path(diff_id))
            self._layers.add(diff_id)
        self._diff_ids[blob] = diff_id

    def _config(self, manifest: Manifest, digest: Digest) -> ImageConfig:
        if digest not in self._configs:
            raise ContentUnknown("the config of an image is not in the archive", where=self._place, digest=digest)
        config = parse_config(self._configs[digest])
        if len(config.diff_ids) != len(manifest.layers):
            raise InvalidManifest(
                "manifest and config disagree on the number of layers",
                wanted=f"{len(config.diff_ids)} diff IDs of the config",
                got=f"{len(manifest.layers)} layers",
            )
        folders(config.raw, config.diff_ids)  # old readers must be able to read it: better to know it now
        return config

    def _check_layers(self, manifest: Manifest, config: ImageConfig) -> None:
        for layer, wanted in zip(manifest.layers, config.diff_ids, strict=True):
            found = self._diff_ids.get(layer.digest)
            if found is None and mediatype.is_foreign(layer.media_type) and layer.urls:
                raise Unsupported(
                    "an archive of Docker's holds all layers of an image, and one lies elsewhere", digest=layer.digest
                )
            if found is None:
                raise ContentUnknown(
                    "a layer of an image is not in the archive", where=self._place, digest=layer.digest
                )
            if wanted.algorithm != found.algorithm:
                raise Unsupported("an archive of Docker's names layers by sha256", got=wanted, digest=layer.digest)
            check_diff_id(wanted, Facts(diff_id=found))

    def _reference(self, name: str) -> Reference:
        if not is_tag(name):
            return Reference.parse(name).tagged()
        if self._repository is None:
            hint = "Name it in full: repository:tag."
            raise InvalidReference("a tag alone is no name in an archive of Docker's", got=name, hint=hint)
        return self._repository.with_tag(name)

    def _name(self, reference: Reference, digest: Digest) -> None:
        for image in self._images.values():
            image.names.discard(reference)
        self._images[digest].names.add(reference)


class _Layer:
    """A layer on its way into the archive: unpacked, and named when it is known what it is.

    What is wrong with its compression is kept until its digest has been judged: a wrong byte makes both stumble.
    """

    def __init__(self, archive: GrowingArchive, expected: Descriptor, landed: Callable[[Digest, Digest], None]) -> None:
        self._blob = expected.digest
        self._landed = landed
        self._digester = Digester()
        self._failure: PullerError | None = None
        sink = Tee(self._digester, _Appended(archive))
        promised = mediatype.compression_of(expected.media_type)
        self._inflate = Inflate(sink, promised=promised, limit=MAX_UNPACKED, pulse=stop_when_cancelled)
        archive.begin(None)

    def write(self, chunk: Chunk, /) -> None:
        if self._failure is None:
            try:
                self._inflate.write(chunk)
            except (LayerError, InputError) as error:
                self._failure = error

    def finish(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._inflate.finish()
        self._landed(self._blob, self._digester.digest)


class _Appended:
    """A Sink into the open member."""

    def __init__(self, archive: GrowingArchive) -> None:
        self._archive = archive

    def write(self, chunk: Chunk, /) -> None:
        self._archive.append(chunk)

    def finish(self) -> None:
        pass


def _saved(image: _Image) -> SavedImage:
    config = image.config
    layers = [
        SavedLayer(folder.image_id, folder.json, seconds(folder.created), diff_id, own=False)
        for folder, diff_id in zip(folders(config.raw, config.diff_ids), config.diff_ids, strict=True)
    ]
    return SavedImage(layers, [place_of(name) for name in sorted(image.names)], config.raw)


def _path(diff_id: Digest) -> str:
    return f"{diff_id.hex}.tar"
