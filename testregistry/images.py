"""Images made for tests: OCI and Docker manifests, indexes, artifacts. Deterministic; stored nowhere by themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from testregistry.body import Body, BytesBody
from testregistry.content import Content, Root
from testregistry.documents import DOCKER_LIST, DOCKER_MANIFEST, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST
from testregistry.grammar import digest_of, digest_of_chunks
from testregistry.layers import (
    Compression,
    Device,
    Directory,
    Entry,
    File,
    Format,
    Hardlink,
    Layer,
    Symlink,
    blob_layer,
    compress,
    generated_body,
    generated_layer,
    layer,
    raw_layer,
    tar,
)
from testregistry.schema1 import Schema1, schema1

__all__ = [
    "Artifact", "Blob", "Compression", "Content", "Device", "Directory", "Entry", "File", "Format", "Hardlink", "Image",
    "Index", "Layer", "Root", "Schema1", "Symlink", "artifact", "blob", "blob_layer", "compress", "descriptor",
    "document", "empty", "generated_blob", "generated_layer", "image", "index", "layer", "raw_layer", "schema1", "tar",
]  # fmt: skip

Json: TypeAlias = Mapping[str, object]
Platform: TypeAlias = tuple[str, str] | tuple[str, str, str | None]

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob with a media type: a config, an attachment."""

    digest: str
    size: int
    media_type: str
    body: Body

    @property
    def raw(self) -> bytes:
        return b"".join(self.body.chunks())

    def content(self) -> Iterator[Content]:
        yield Content(self.digest, self.media_type, self.body)


@dataclass(frozen=True, slots=True)
class Image:
    """One platform's manifest, config and layers."""

    digest: str
    raw: bytes
    media_type: str
    config: Blob
    layers: tuple[Layer, ...]
    platform: Json
    subject: str | None = None

    @property
    def size(self) -> int:
        return len(self.raw)

    def content(self) -> Iterator[Content]:
        yield from self.config.content()
        for part in self.layers:
            yield Content(part.digest, part.media_type, part.body)
        yield Content(self.digest, self.media_type, BytesBody(self.raw), True, self.subject)


@dataclass(frozen=True, slots=True)
class Index:
    """A list of manifests, one for each platform or attachment."""

    digest: str
    raw: bytes
    media_type: str
    manifests: tuple[Manifest, ...]
    subject: str | None = None

    @property
    def size(self) -> int:
        return len(self.raw)

    def content(self) -> Iterator[Content]:
        for manifest in self.manifests:
            yield from manifest.content()
        yield Content(self.digest, self.media_type, BytesBody(self.raw), True, self.subject)


@dataclass(frozen=True, slots=True)
class Artifact:
    """An OCI image manifest that carries something else: a signature, a chart, a list of parts."""

    digest: str
    raw: bytes
    media_type: str
    artifact_type: str | None
    config: Blob
    blobs: tuple[Blob, ...]
    subject: str | None = None

    @property
    def size(self) -> int:
        return len(self.raw)

    def content(self) -> Iterator[Content]:
        for part in (self.config, *self.blobs):
            yield from part.content()
        yield Content(self.digest, self.media_type, BytesBody(self.raw), True, self.subject)


Manifest: TypeAlias = Image | Index | Artifact


def blob(raw: bytes, media_type: str = "application/octet-stream", *, algorithm: str = "sha256") -> Blob:
    """Make a blob of bytes."""
    return Blob(digest_of(raw, algorithm), len(raw), media_type, BytesBody(raw))


def empty() -> Blob:
    """Return the empty JSON object that stands where an artifact has no config (image-spec, "empty descriptor")."""
    return blob(b"{}", OCI_EMPTY)


def generated_blob(size: int, seed: int = 0, media_type: str = "application/octet-stream") -> Blob:
    """Make a blob of any size that is served without being stored: no tar, see `generated_layer` for one."""
    body = generated_body(size, seed)
    return Blob(digest_of_chunks(body.chunks()), size, media_type, body)


def document(value: Json) -> bytes:
    """Return a JSON document, the same bytes every time."""
    return json.dumps(value, separators=(",", ":")).encode()


def descriptor(part: Blob | Manifest, **more: object) -> dict[str, object]:
    """Return the descriptor of a part, with more fields."""
    return {"mediaType": part.media_type, "digest": part.digest, "size": part.size, **more}


def image(
    *layers: Layer,
    format: Format = "oci",  # noqa: A002 - the word users know from other tools
    platform: Platform = ("linux", "amd64"),
    config_extra: Json | None = None,
    annotations: Mapping[str, str] | None = None,
    subject: Manifest | None = None,
    artifact_type: str | None = None,
    manifest_extra: Json | None = None,
    algorithm: str = "sha256",
) -> Image:
    """Make an image of layers. `config_extra` and `manifest_extra` override fields: hostile ones too."""
    where = _platform(platform)
    config_document = {
        "created": "1970-01-01T00:00:00Z",
        **where,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [part.diff_id for part in layers]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "testregistry"} for _ in layers],
        **(config_extra or {}),
    }
    config_type = OCI_CONFIG if format == "oci" else DOCKER_CONFIG
    config = blob(document(config_document), config_type, algorithm=algorithm)
    media_type = OCI_MANIFEST if format == "oci" else DOCKER_MANIFEST
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        **({} if artifact_type is None else {"artifactType": artifact_type}),
        "config": descriptor(config),
        "layers": [_layer_descriptor(part, format) for part in layers],
        **_common(annotations, subject),
        **(manifest_extra or {}),
    }
    raw = document(manifest)
    return Image(
        digest_of(raw, algorithm), raw, media_type, config, layers, where, None if subject is None else subject.digest
    )


def index(
    *manifests: Manifest,
    format: Format = "oci",  # noqa: A002 - the word users know from other tools
    annotations: Mapping[str, str] | None = None,
    subject: Manifest | None = None,
    artifact_type: str | None = None,
    extra: Json | None = None,
    algorithm: str = "sha256",
) -> Index:
    """Make an index (OCI) or manifest list (Docker) of manifests, in this order."""
    media_type = OCI_INDEX if format == "oci" else DOCKER_LIST
    raw = document({
        "schemaVersion": 2,
        "mediaType": media_type,
        **({} if artifact_type is None else {"artifactType": artifact_type}),
        "manifests": [_entry(manifest) for manifest in manifests],
        **_common(annotations, subject),
        **(extra or {}),
    })  # fmt: skip
    digest = digest_of(raw, algorithm)
    return Index(digest, raw, media_type, manifests, None if subject is None else subject.digest)


def artifact(
    *blobs: Blob,
    artifact_type: str | None = "application/vnd.example.thing",
    config: Blob | None = None,
    subject: Manifest | None = None,
    annotations: Mapping[str, str] | None = None,
    extra: Json | None = None,
    algorithm: str = "sha256",
) -> Artifact:
    """Make an artifact: without blobs it holds the empty descriptor, as image-spec wants it."""
    config = config or empty()
    parts: Sequence[Blob] = blobs or (empty(),)
    raw = document({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        **({} if artifact_type is None else {"artifactType": artifact_type}),
        "config": descriptor(config),
        "layers": [descriptor(part) for part in parts],
        **_common(annotations, subject),
        **(extra or {}),
    })  # fmt: skip
    digest = digest_of(raw, algorithm)
    subject_digest = None if subject is None else subject.digest
    return Artifact(digest, raw, OCI_MANIFEST, artifact_type, config, tuple(parts), subject_digest)


def _platform(platform: Platform) -> dict[str, object]:
    os, architecture, *rest = platform
    variant = rest[0] if rest else None
    return {"architecture": architecture, "os": os, **({} if variant is None else {"variant": variant})}


def _layer_descriptor(part: Layer, format: Format) -> dict[str, object]:  # noqa: A002 - see image()
    return {"mediaType": part.media_type_in(format), "digest": part.digest, "size": part.size}


def _common(annotations: Mapping[str, str] | None, subject: Manifest | None) -> dict[str, object]:
    return {
        **({} if subject is None else {"subject": descriptor(subject)}),
        **({} if annotations is None else {"annotations": dict(annotations)}),
    }


def _entry(manifest: Manifest) -> dict[str, object]:
    match manifest:
        case Image():
            return descriptor(manifest, platform=dict(manifest.platform))
        case Artifact() if manifest.artifact_type is not None:
            return descriptor(manifest, artifactType=manifest.artifact_type)
        case _:
            return descriptor(manifest)
