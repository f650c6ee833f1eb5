"""Referrer: a manifest with a subject, listed for those who look for it where the registry keeps no such list itself.

Distribution-spec 1.1, "Pushing Manifests with Subject": the list is an index under the tag `<algorithm>-<hex>` of the
subject, and up to those who push. Two who change it at once may lose one of their entries; that is the schema's nature.
"""

import json
import logging
from typing import Any

from puller.errors import InvalidManifest, NotFound, PullerError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES, list_of, load_document
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.model.mediatype import OCI_INDEX, SCHEMA1_MANIFESTS
from puller.registry.answer import Request
from puller.registry.uploading.documents import put_document
from puller.registry.uploading.parcel import Receipt
from puller.registry.uploading.upload import Place

_LOG = logging.getLogger(__name__)
_MAX_REF = 64  # characters of the digest that go into the tag ("Referrers Tag Schema")


def tag_of(subject: Digest) -> str:
    """The tag under which the referrers of `subject` are listed."""
    return f"{subject.algorithm}-{subject.hex[:_MAX_REF]}"


async def list_referrer(place: Place, raw: bytes, descriptor: Descriptor, receipt: Receipt) -> None:
    """Put a manifest that was pushed into the list of its subject, unless the registry says that it has done so.

    What was pushed is there, so a list that cannot be changed is no error, but told as a warning.
    """
    if descriptor.media_type in SCHEMA1_MANIFESTS or receipt.header("OCI-Subject"):
        return
    try:
        document = parse_manifest(raw, descriptor.media_type)
        if document.subject is not None:
            await _add(place, tag_of(document.subject.digest), _entry(document, descriptor, raw))
    except PullerError as error:
        _LOG.warning("%s is there, but not listed among the referrers of its subject: %s", descriptor.digest, error)


async def _add(place: Place, tag: str, entry: dict[str, Any]) -> None:
    path = place.url(f"manifests/{tag}").raw_path
    request = Request("GET", path, "list of referrers", place.scope, (OCI_INDEX,))
    try:
        _, held = await place.session.read(request, limit=MAX_BYTES)
        index = load_document(held, what="list of referrers")
    except NotFound as error:
        if error.phase == "authentication":
            raise
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    if index.get("mediaType", OCI_INDEX) != OCI_INDEX:
        raise InvalidManifest("the tag names something else", wanted=OCI_INDEX, got=repr(index["mediaType"])[:100])
    listed = list_of(index, "manifests", what="list of referrers")
    if any(isinstance(known, dict) and known.get("digest") == entry["digest"] for known in listed):
        return
    changed = json.dumps({**index, "manifests": [*listed, entry]}, separators=(",", ":")).encode()
    await put_document(place, changed, Descriptor(OCI_INDEX, Digest.of(changed), len(changed)), tag)


def _entry(document: Manifest | Index, descriptor: Descriptor, raw: bytes) -> dict[str, Any]:
    """The descriptor of what was pushed, as the list shows it: its type, and all of its annotations."""
    kind = document.artifact_type
    if kind is None and isinstance(document, Manifest) and document.config is not None:
        kind = document.config.media_type
    entry: dict[str, Any] = {"mediaType": descriptor.media_type, "digest": str(descriptor.digest), "size": len(raw)}
    entry |= {} if kind is None else {"artifactType": kind}
    return entry | ({"annotations": dict(document.annotations)} if document.annotations else {})
