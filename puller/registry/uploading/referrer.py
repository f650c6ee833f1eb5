"""Referrer: a manifest with a subject, listed for those who look for it where the registry keeps no such list itself.

Distribution-spec 1.1, "Pushing Manifests with Subject": the list is an index under the tag `<algorithm>-<hex>` of the
subject, and up to those who push. Two who change it at once may lose one of their entries; that is the schema's nature.
"""

import logging
from typing import Any

from puller.errors import NotFound, PullerError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import parse_manifest
from puller.model.mediatype import OCI_INDEX, SCHEMA1_MANIFESTS
from puller.model.referrer import entry_of, tag_of, with_referrer
from puller.registry.answer import Request
from puller.registry.uploading.documents import put_document
from puller.registry.uploading.parcel import Receipt
from puller.registry.uploading.upload import Place

_LOG = logging.getLogger(__name__)


async def list_referrer(place: Place, raw: bytes, descriptor: Descriptor, receipt: Receipt) -> None:
    """Put a manifest that was pushed into the list of its subject, unless the registry says that it has done so.

    What was pushed is there, so a list that cannot be changed is no error, but told as a warning.
    """
    if descriptor.media_type in SCHEMA1_MANIFESTS or receipt.header("OCI-Subject"):
        return
    try:
        document = parse_manifest(raw, descriptor.media_type)
        if document.subject is not None:
            await _add(place, tag_of(document.subject.digest), entry_of(document, descriptor))
    except PullerError as error:
        _LOG.warning("%s is there, but not listed among the referrers of its subject: %s", descriptor.digest, error)


async def _add(place: Place, tag: str, entry: dict[str, Any]) -> None:
    path = place.url(f"manifests/{tag}").raw_path
    request = Request("GET", path, "list of referrers", place.scope, (OCI_INDEX,))
    held = None
    try:
        _, held = await place.session.read(request, limit=MAX_BYTES)
    except NotFound as error:
        if error.phase == "authentication":
            raise
    changed = with_referrer(held, entry)
    if changed is not None:
        await put_document(place, changed, Descriptor(OCI_INDEX, Digest.of(changed), len(changed)), tag)
