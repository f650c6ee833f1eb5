"""The referrers API: which manifests name another one as their subject (distribution-spec end-12a, end-12b)."""

from __future__ import annotations

from testregistry import errors
from testregistry.answer import Answer, json_answer
from testregistry.call import Call
from testregistry.documents import OCI_INDEX, Document, read_document
from testregistry.grammar import is_digest
from testregistry.storage import Manifest, Repository, Storage


async def handle(storage: Storage, call: Call) -> Answer:
    """Answer `/v2/<name>/referrers/<digest>`: an index, empty when nothing refers there. Raises Refusal."""
    name, digest = call.name, call.reference
    if call.method not in ("GET", "HEAD"):
        raise errors.unsupported("referrers know GET and HEAD", allow="GET, HEAD")
    if not is_digest(digest):
        raise errors.digest_invalid(digest)
    repository = storage.find(name)
    descriptors = [] if repository is None else _descriptors(repository, digest)
    wanted = call.query.get("artifactType")
    if wanted is not None:
        descriptors = [found for found in descriptors if found.get("artifactType") == wanted]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
    answer = json_answer(200, index).replacing("Content-Type", OCI_INDEX)
    return answer if wanted is None else answer.with_headers(("OCI-Filters-Applied", "artifactType"))


def _descriptors(repository: Repository, digest: str) -> list[dict[str, object]]:
    found = (manifest for manifest in repository.manifests.values() if manifest.subject == digest)
    return [_descriptor(manifest) for manifest in sorted(found, key=lambda manifest: manifest.digest)]


def _descriptor(manifest: Manifest) -> dict[str, object]:
    try:
        document = read_document(manifest.raw, manifest.media_type)
    except errors.Refusal:
        document = Document()  # stored unchecked by a test, with a subject given by hand
    descriptor: dict[str, object] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.raw),
    }
    if document.artifact_type is not None:
        descriptor["artifactType"] = document.artifact_type
    if document.annotations:
        descriptor["annotations"] = document.annotations
    return descriptor
