"""The referrers API: which manifests name another one as their subject (distribution-spec end-12a, end-12b)."""

from __future__ import annotations

from testregistry import errors
from testregistry.answer import Answer, json_answer
from testregistry.call import Call
from testregistry.documents import OCI_INDEX, Document, read_document
from testregistry.grammar import is_digest
from testregistry.manner import Manner
from testregistry.paging import page_of
from testregistry.storage import Manifest, Repository, Storage


async def handle(storage: Storage, call: Call, manner: Manner) -> Answer:
    """Answer `/v2/<name>/referrers/<digest>`: an index, empty when nothing refers there. Raises Refusal."""
    if not manner.referrers:
        raise errors.not_found()
    name, digest = call.name, call.reference
    if call.method not in ("GET", "HEAD"):
        raise errors.unsupported("referrers know GET and HEAD", allow="GET, HEAD")
    if not is_digest(digest):
        raise errors.digest_invalid(digest)
    repository = storage.find(name)
    descriptors = [] if repository is None else _descriptors(repository, digest)
    wanted = call.query.get("artifactType") if manner.filters else None
    keeping = {} if wanted is None else {"artifactType": wanted}
    if wanted is not None:
        descriptors = [found for found in descriptors if found.get("artifactType") == wanted]
    path = f"/v2/{name}/referrers/{digest}"
    page, link = page_of(descriptors, call.query, path, key=_digest_of, most=manner.referrers_page, keeping=keeping)
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": page}
    answer = json_answer(200, index, *link).replacing("Content-Type", OCI_INDEX)
    return answer if wanted is None else answer.with_headers(("OCI-Filters-Applied", "artifactType"))


def _descriptors(repository: Repository, digest: str) -> list[dict[str, object]]:
    return [_descriptor(manifest) for manifest in repository.manifests.values() if manifest.subject == digest]


def _digest_of(descriptor: dict[str, object]) -> str:
    return str(descriptor["digest"])


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
