"""Manifest and Index: what an image or a set of images consists of, with the raw bytes that were verified.

Sources: OCI image-spec manifest.md and image-index.md; Docker schema 2. Schema 1 lives in `legacy/`, not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from puller.errors import InvalidManifest, MediaTypeMismatch, Unsupported
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.document import list_of, load_document, text_of, texts_of
from puller.model.platform import Platform

MAX_ENTRIES = 10_000  # an index or manifest with more is an attack, not an image (THREATS C10)
ATTESTATION = "unknown"  # buildkit marks its attestations by the platform unknown/unknown

# Keys that only one kind of document has; two kinds in one document is CVE-2021-41190 (THREATS C4).
_INDEX_KEYS = frozenset({"manifests"})
_MANIFEST_KEYS = frozenset({"config", "layers"})
_ARTIFACT_KEYS = frozenset({"blobs"})
_SCHEMA1_KEYS = frozenset({"fsLayers", "history", "signatures"})
_KINDS = (
    (_INDEX_KEYS, mediatype.INDEXES),
    (_MANIFEST_KEYS, mediatype.MANIFESTS),
    (_ARTIFACT_KEYS, frozenset({mediatype.OCI_ARTIFACT})),
    (_SCHEMA1_KEYS, mediatype.SCHEMA1_MANIFESTS),
)
_READABLE = mediatype.TODAYS_DOCUMENTS | {mediatype.OCTETS, ""}


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image, or one artifact: then `artifact_type` is set and `config` may be absent or empty."""

    raw: bytes = field(repr=False)
    media_type: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_image(self) -> bool:
        """Whether it has an image config, so that its layers make a root filesystem."""
        return self.config is not None and _is_image_config(self.config.media_type, self.media_type)

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """Everything it needs, config first."""
        return ((self.config,) if self.config is not None else ()) + self.layers


@dataclass(frozen=True, slots=True)
class Index:
    """Many platforms under one digest."""

    raw: bytes = field(repr=False)
    media_type: str
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """Its entries, in their order."""
        return self.manifests

    @property
    def readable(self) -> tuple[Descriptor, ...]:
        """The entries that can be read here, in their order.

        An unknown media type must not make an error (image-index.md, `manifests`): such an entry is there for others.
        A type that says nothing leaves the question to the document.
        """
        return tuple(entry for entry in self.manifests if entry.media_type in _READABLE)

    def choose(self, wanted: Platform) -> Descriptor:
        """The readable entry that serves `wanted` best; of equals the first. Raises Unsupported, naming what there is.

        Entries without a platform are taken only where no entry states one (image-index.md leaves it to the reader).
        """
        readable = self.readable
        ranked = []
        for position, entry in enumerate(readable):
            rank = entry.platform.serves(wanted) if entry.platform is not None else None
            if rank is not None:
                ranked.append((rank, position))
        if ranked:
            return readable[min(ranked)[1]]
        if readable and all(entry.platform is None for entry in readable):
            return readable[0]
        there = sorted({str(e.platform) for e in readable if e.platform and e.platform.os != ATTESTATION})
        raise Unsupported(
            "no image for this platform",
            wanted=wanted,
            got=", ".join(there) or "none",
            hint="Choose one that is there: --platform, or `platforms` of a mirror.",
        )


def parse_manifest(raw: bytes, media_type: str | None) -> Manifest | Index:
    """Decode a manifest or index. `media_type` is what the descriptor or the Content-Type claimed, if anything did.

    Raises MediaTypeMismatch where the body says another type or is of two kinds at once (THREATS C4), InvalidManifest
    where it breaks its format, and Unsupported for schema 1 and unknown types.
    """
    document = load_document(raw, what="manifest")
    actual = _media_type(document, media_type)
    if actual in mediatype.SCHEMA1_MANIFESTS:
        raise Unsupported("a manifest of schema 1 among those of today", got=actual)
    if actual == mediatype.OCI_ARTIFACT:
        return _decode_artifact(raw, document)
    version = document.get("schemaVersion")
    if type(version) is not int or version != 2:
        raise InvalidManifest("manifest: schemaVersion must be 2", got=repr(version)[:40])
    return (_decode_index if mediatype.is_index(actual) else _decode_manifest)(raw, document, actual)


def kind_of(raw: bytes) -> str:
    """The media type of a document of which nothing was said, by its own word or its keys.

    Raises InvalidManifest, and MediaTypeMismatch for one of two kinds at once.
    """
    document = load_document(raw, what="manifest")
    kind = _media_type(document, None)
    return mediatype.SCHEMA1_SIGNED if kind == mediatype.SCHEMA1 and "signatures" in document else kind


def _media_type(document: dict[str, Any], claimed: str | None) -> str:
    kinds = [types for keys, types in _KINDS if keys & document.keys()]
    if len(kinds) > 1:
        found = sorted(key for keys, _ in _KINDS for key in keys & document.keys())
        raise MediaTypeMismatch("manifest is of two kinds at once", got=", ".join(found))
    own = text_of(document, "mediaType", what="manifest", default="")
    if own and claimed is not None and own != claimed and not _both_schema1(own, claimed):
        raise MediaTypeMismatch("manifest says another media type than its description", wanted=claimed, got=own)
    actual = own or claimed or _guess(document)
    if not any(actual in types for _, types in _KINDS):
        raise Unsupported("unknown kind of manifest", got=actual)
    if kinds and actual not in kinds[0]:
        keys = ", ".join(sorted(document))
        raise MediaTypeMismatch("manifest is not of the kind its media type says", wanted=actual, got=keys[:160])
    return actual


def _both_schema1(one: str, other: str) -> bool:
    # A signed schema 1 document has no mediaType of its own that agrees with its Content-Type in all registries.
    return one in mediatype.SCHEMA1_MANIFESTS and other in mediatype.SCHEMA1_MANIFESTS


def _guess(document: dict[str, Any]) -> str:
    # manifest.md makes mediaType optional, and some registries send no Content-Type: the kind is in the keys then.
    if document.get("schemaVersion") == 1 or _SCHEMA1_KEYS & document.keys():
        return mediatype.SCHEMA1
    return mediatype.OCI_INDEX if _INDEX_KEYS & document.keys() else mediatype.OCI_MANIFEST


def _decode_index(raw: bytes, document: dict[str, Any], media_type: str) -> Index:
    entries = _descriptors(document, "manifests", what="index")
    return Index(
        raw,
        media_type,
        entries,
        _subject(document, "index"),
        text_of(document, "artifactType", what="index", default="") or None,
        texts_of(document, "annotations", what="index"),
    )


def _decode_manifest(raw: bytes, document: dict[str, Any], media_type: str) -> Manifest:
    what = "manifest"
    config = Descriptor.decode(document.get("config"), what=f"{what} config")
    artifact_type = text_of(document, "artifactType", what=what, default="") or None
    if artifact_type is None and not _is_image_config(config.media_type, media_type):
        artifact_type = config.media_type  # manifest.md: the config's type stands for a missing artifactType
    return Manifest(
        raw,
        media_type,
        config,
        _descriptors(document, "layers", what=what),
        _subject(document, what),
        artifact_type,
        texts_of(document, "annotations", what=what),
    )


def _is_image_config(config_type: str, manifest_type: str) -> bool:
    early = manifest_type == mediatype.DOCKER_MANIFEST and config_type in mediatype.EARLY_DOCKER_CONFIGS
    return early or config_type in mediatype.CONFIGS


def _decode_artifact(raw: bytes, document: dict[str, Any]) -> Manifest:
    # Of the image-spec 1.1 release candidates (artifact.md), still in registries: blobs, no config, no schemaVersion.
    what = "artifact manifest"
    return Manifest(
        raw,
        mediatype.OCI_ARTIFACT,
        None,
        _descriptors(document, "blobs", what=what, default=True),
        _subject(document, what),
        text_of(document, "artifactType", what=what, default="") or None,
        texts_of(document, "annotations", what=what),
    )


def _descriptors(document: dict[str, Any], key: str, *, what: str, default: bool = False) -> tuple[Descriptor, ...]:
    entries = list_of(document, key, what=what, default=default)
    if len(entries) > MAX_ENTRIES:
        raise InvalidManifest(f"{what}: too many {key}", wanted=f"at most {MAX_ENTRIES}", got=len(entries))
    return tuple(Descriptor.decode(e, what=f"{what} {key}[{i}]") for i, e in enumerate(entries))


def _subject(document: dict[str, Any], what: str) -> Descriptor | None:
    subject = document.get("subject")
    return None if subject is None else Descriptor.decode(subject, what=f"{what} subject")
