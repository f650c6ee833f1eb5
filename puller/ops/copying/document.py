"""Document: a manifest or index on its way, decoded once, with what has to be there before it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from puller.errors import Unsupported
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest, TarsumDigest
from puller.model.manifest import Index, Manifest, parse_manifest


@dataclass(frozen=True, slots=True)
class Document:
    """`descriptor` bears the digest that registries give it. Each of `entries` (documents) and `blobs` comes with its
    role. `absent` is what it names and is not brought. `manifest`: of today, None for schema 1. `is_there`: the run has
    seen it at the target, with all that it needs.
    """

    role: str
    descriptor: Descriptor
    raw: bytes = field(repr=False)
    manifest: Manifest | Index | None
    entries: tuple[tuple[str, Descriptor], ...] = ()
    blobs: tuple[tuple[str, Descriptor], ...] = ()
    absent: tuple[Digest, ...] = ()
    is_there: bool = False

    @property
    def digest(self) -> Digest:
        """What it is named by."""
        return self.descriptor.digest

    @property
    def subject(self) -> Digest | None:
        """What it refers to, if anything."""
        return None if self.manifest is None or self.manifest.subject is None else self.manifest.subject.digest


def decoded(role: str, wanted: Descriptor, raw: bytes) -> Document:
    """The document `raw`, whose bytes were verified; an index without its entries, which are to be chosen.

    Raises InvalidManifest, MediaTypeMismatch, SignatureInvalid, Unsupported.
    """
    if wanted.media_type in mediatype.SCHEMA1_MANIFESTS:
        return _schema1(wanted, raw)
    claimed = None if wanted.media_type in ("", mediatype.OCTETS) else wanted.media_type
    manifest = parse_manifest(raw, claimed)
    sized = Descriptor(manifest.media_type, wanted.digest, len(raw))
    if isinstance(manifest, Index):
        return Document(f"index {role}".rstrip(), sized, raw, manifest)
    blobs, elsewhere = _blobs(manifest, role)
    return Document(f"manifest {role}".rstrip(), sized, raw, manifest, (), blobs, elsewhere)


def with_entries(index: Document, entries: Iterable[Descriptor], absent: tuple[Digest, ...]) -> Document:
    """The same, with those of its entries that are brought."""
    roled = tuple(("" if entry.platform is None else str(entry.platform), entry) for entry in entries)
    return replace(index, entries=roled, absent=absent)


def _blobs(manifest: Manifest, role: str) -> tuple[tuple[tuple[str, Descriptor], ...], tuple[Digest, ...]]:
    what = "layer" if manifest.is_image else "blob"
    found = [("config", manifest.config)] if manifest.config is not None else []
    elsewhere = []
    for place, layer in enumerate(manifest.layers, 1):
        # What its registry may not hand out lies elsewhere (image-spec layer.md): nobody pushes it.
        if mediatype.is_foreign(layer.media_type) and layer.urls:
            elsewhere.append(layer.digest)
        else:
            found.append((f"{what} {place}" if len(manifest.layers) > 1 else what, layer))
    return tuple(found), tuple(elsewhere)


def _schema1(wanted: Descriptor, raw: bytes) -> Document:
    from puller.legacy.schema1 import parse_signed_manifest  # seldom needed, and slow to load

    manifest = parse_signed_manifest(raw)
    blobs = []
    for place, name in enumerate(dict.fromkeys(reversed(manifest.blob_names())), 1):
        if isinstance(name, TarsumDigest):
            what = "layers that are named by tarsum cannot be pushed as they are"
            raise Unsupported(what, got=name, hint="Registries of today know no such names: --format schema2.")
        blobs.append((f"layer {place}", Descriptor(mediatype.OCTETS, name)))
    named = Descriptor(wanted.media_type, manifest.digest, len(raw))
    return Document("manifest", named, raw, None, (), tuple(blobs))
