"""Reading pushed manifests strictly: what a document refers to, and where it contradicts itself."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from testregistry import errors
from testregistry.grammar import is_blob_name, is_digest

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"

_IMAGES = (OCI_MANIFEST, DOCKER_MANIFEST)
_INDEXES = (OCI_INDEX, DOCKER_LIST)
_SCHEMA1 = (SCHEMA1, SCHEMA1_SIGNED)


@dataclass(frozen=True, slots=True)
class Document:
    """What the registry needs to know of a manifest: the digests it stands on, and what referrers shows of it."""

    blobs: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    subject: str | None = None
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None


def read_document(raw: bytes, media_type: str) -> Document:
    """Read a manifest under the media type it was pushed with; raises Refusal (MANIFEST_INVALID, DIGEST_INVALID)."""
    document = _load(raw)
    if media_type in _SCHEMA1:
        return _read_schema1(document)
    if document.get("schemaVersion") != 2 and media_type != OCI_ARTIFACT:
        raise errors.manifest_invalid("schemaVersion must be 2")
    _check_media_type(document, media_type)
    subject = document.get("subject")
    annotations = document.get("annotations", {})
    if not isinstance(annotations, dict) or not all(isinstance(value, str) for value in annotations.values()):
        raise errors.manifest_invalid("annotations must be a map of strings")
    about = Document(
        subject=None if subject is None else _digest(subject, "subject"),
        artifact_type=_artifact_type(document, media_type),
        annotations=annotations,
    )
    if media_type in _IMAGES:
        parts = [document.get("config"), *_list(document, "layers")]
        return _with_parts(about, blobs=(_digest(part, "config or layers") for part in parts if _is_here(part)))
    if media_type in _INDEXES:
        parts = _list(document, "manifests")
        return _with_parts(about, manifests=(_digest(part, "manifests") for part in parts))
    if media_type == OCI_ARTIFACT:
        parts = _list(document, "blobs", required=False)
        return _with_parts(about, blobs=(_digest(part, "blobs") for part in parts))
    raise errors.manifest_invalid("this registry does not take such a media type", {"mediaType": media_type})


def subject_of(raw: bytes, media_type: str) -> str | None:
    """Return the subject of a document that need not be a valid manifest."""
    try:
        return read_document(raw, media_type).subject
    except errors.Refusal:
        return None


def payload_of(raw: bytes, media_type: str) -> bytes:
    """Return the bytes a manifest's digest is taken of: all, or for a signed schema 1 its payload without signatures.

    Rules of libtrust's "pretty signature": the first signature's protected header says how long the payload's
    beginning is and how it ends. Raises Refusal.
    """
    if media_type != SCHEMA1_SIGNED:
        return raw
    signatures = _load(raw).get("signatures")
    if not isinstance(signatures, list) or not signatures:
        raise errors.manifest_invalid("a signed schema 1 manifest must carry signatures")
    try:
        protected = json.loads(_base64url(signatures[0]["protected"]))
        kept, tail = int(protected["formatLength"]), _base64url(protected["formatTail"])
    except (KeyError, TypeError, ValueError, binascii.Error) as exc:
        raise errors.manifest_invalid("the protected header of the signature cannot be read") from exc
    if not 0 < kept <= len(raw):
        raise errors.manifest_invalid("formatLength is out of bounds")
    return raw[:kept] + tail


def _load(raw: bytes) -> dict[str, Any]:
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as exc:
        raise errors.manifest_invalid("the manifest is no JSON document") from exc
    if not isinstance(document, dict):
        raise errors.manifest_invalid("the manifest is no JSON object")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _check_media_type(document: dict[str, Any], media_type: str) -> None:
    """Distribution-spec, "Pushing Manifests": mediaType in the document and Content-Type must say the same."""
    inner = document.get("mediaType")
    required = media_type in (DOCKER_MANIFEST, DOCKER_LIST, OCI_ARTIFACT)
    if inner != media_type and (inner is not None or required):
        raise errors.manifest_invalid(
            "mediaType and Content-Type differ", {"mediaType": inner, "contentType": media_type}
        )
    shapes = [key for key in ("manifests", "layers", "fsLayers", "blobs") if key in document]
    if len(shapes) > 1 or ("manifests" in document and "config" in document):
        raise errors.manifest_invalid("the document reads as two kinds of manifest at once", {"keys": shapes})


def _artifact_type(document: dict[str, Any], media_type: str) -> str | None:
    """Distribution-spec, "Listing Referrers": artifactType, else the config's media type for an image manifest."""
    stated = document.get("artifactType")
    config = document.get("config")
    if stated is not None and not isinstance(stated, str):
        raise errors.manifest_invalid("artifactType must be a string")
    if stated:
        return stated
    if media_type in _IMAGES and isinstance(config, dict):
        config_type = config.get("mediaType")
        return config_type if isinstance(config_type, str) else None
    return None


def _read_schema1(document: dict[str, Any]) -> Document:
    layers, history = document.get("fsLayers"), document.get("history")
    if document.get("schemaVersion") != 1 or not isinstance(layers, list) or not isinstance(history, list):
        raise errors.manifest_invalid("a schema 1 manifest has schemaVersion 1, fsLayers and history")
    if len(layers) != len(history) or not layers:
        raise errors.manifest_invalid("fsLayers and history must pair")
    sums = [layer.get("blobSum") if isinstance(layer, dict) else None for layer in layers]
    return _with_parts(Document(), blobs=(_blob_name(blob) for blob in sums))


def _with_parts(document: Document, *, blobs: Iterable[str] = (), manifests: Iterable[str] = ()) -> Document:
    unique_blobs, unique_manifests = tuple(dict.fromkeys(blobs)), tuple(dict.fromkeys(manifests))
    return Document(unique_blobs, unique_manifests, document.subject, document.artifact_type, document.annotations)


def _list(document: dict[str, Any], key: str, *, required: bool = True) -> list[Any]:
    found = document.get(key, None if required else [])
    if not isinstance(found, list):
        raise errors.manifest_invalid(f"{key} must be a list")
    return found


def _is_here(descriptor: Any) -> bool:
    """A layer with `urls` lives elsewhere (image-spec, non-distributable layers): it need not be in this registry."""
    return not (isinstance(descriptor, dict) and descriptor.get("urls"))


def _blob_name(text: Any) -> str:
    if not isinstance(text, str) or not is_blob_name(text):
        raise errors.digest_invalid(str(text), "fsLayers: the digest is malformed or of an unknown algorithm")
    return text


def _digest(descriptor: Any, where: str) -> str:
    if not isinstance(descriptor, dict):
        raise errors.manifest_invalid(f"{where}: a descriptor is missing or no object")
    digest, size = descriptor.get("digest"), descriptor.get("size")
    if not isinstance(digest, str) or not is_digest(digest):
        raise errors.digest_invalid(str(digest), f"{where}: the digest is malformed or of an unknown algorithm")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise errors.manifest_invalid(f"{where}: the size must be a number that is not negative")
    return digest


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
