"""Manifests: pull, push with validation, deletion by digest or tag (distribution-spec end-3, end-7, end-9)."""

from __future__ import annotations

from testregistry import errors
from testregistry.answer import Answer
from testregistry.call import Call
from testregistry.documents import Document, payload_of, read_document
from testregistry.grammar import digest_of, is_digest, is_tag
from testregistry.manner import Manner
from testregistry.serving import serve_content
from testregistry.storage import Manifest, Storage

# Distribution-spec, "Pushing Manifests": a registry should take manifests of at least 4 MiB.
MANIFEST_LIMIT = 4 * 1024 * 1024


async def handle(storage: Storage, call: Call, manner: Manner) -> Answer:
    """Answer a request to `/v2/<name>/manifests/<reference>`. Raises Refusal."""
    match call.method:
        case "GET" | "HEAD":
            return pull(storage, call)
        case "PUT":
            return await push(storage, call, manner)
        case "DELETE":
            return delete(storage, call, manner)
        case _:
            raise errors.unsupported("manifests know GET, HEAD, PUT, DELETE", allow="GET, HEAD, PUT, DELETE")


def pull(storage: Storage, call: Call) -> Answer:
    """Serve a manifest under the media type it was pushed with, whatever Accept says: one digest, one document."""
    name, reference = call.name, call.reference
    if ":" in reference and not is_digest(reference):
        raise errors.digest_invalid(reference)
    if storage.find(name) is None:
        raise errors.name_unknown(name)
    found = storage.manifest(name, reference)
    if found is None:
        raise errors.manifest_unknown(reference)
    manifest, body = found
    return serve_content(body, manifest.digest, manifest.media_type, call.headers, method=call.method, ranges=False)


async def push(storage: Storage, call: Call, manner: Manner) -> Answer:
    """Take a manifest that is what it says, and whose content is all here.

    A push by digest may name tags in `tag` parameters, as drafts after distribution-spec 1.1 have it: the only way to
    tag a manifest whose digest is not sha256.
    """
    name, reference = call.name, call.reference
    by_digest = ":" in reference
    if by_digest and not is_digest(reference):
        raise errors.digest_invalid(reference)
    tags = call.query.getall("tag", []) if by_digest else [reference]
    if bad := [tag for tag in tags if not is_tag(tag)]:
        raise errors.manifest_invalid("the tag breaks the grammar", {"tag": bad[0]})
    raw = await call.read(MANIFEST_LIMIT)
    if raw is None:
        raise errors.manifest_too_large(MANIFEST_LIMIT)
    media_type = call.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    document = read_document(raw, media_type)
    algorithm = reference.partition(":")[0] if by_digest else "sha256"
    digest = digest_of(payload_of(raw, media_type), algorithm)
    if by_digest and reference != digest:
        raise errors.digest_invalid(reference, "the digest in the path is not that of the manifest")
    _check_references(storage, name, document)
    storage.add_manifest(name, Manifest(digest, media_type, raw, document.subject))
    for tag in tags:
        storage.tag(name, tag, digest)
    headers = [("Location", f"/v2/{name}/manifests/{digest}"), ("Docker-Content-Digest", digest)]
    if document.subject is not None and manner.referrers:
        headers.append(("OCI-Subject", document.subject))
    if by_digest:
        headers += [("OCI-Tag", tag) for tag in tags]
    return Answer(201, tuple(headers))


def delete(storage: Storage, call: Call, manner: Manner) -> Answer:
    """Remove a manifest with its tags, or one tag alone."""
    name, reference = call.name, call.reference
    if ":" in reference and not is_digest(reference):
        raise errors.digest_invalid(reference)
    if manner.digests_only and ":" not in reference and "manifests" in manner.deletes:
        raise errors.digest_invalid(reference)
    manner.check_delete("manifests" if ":" in reference else "tags")
    repository = storage.find(name)
    if repository is None:
        raise errors.name_unknown(name)
    if repository.resolve(reference) is None:
        raise errors.manifest_unknown(reference)
    if reference in repository.tags:
        storage.untag(name, reference)
    else:
        storage.drop_manifest(name, reference)
    return Answer(202)


def _check_references(storage: Storage, name: str, document: Document) -> None:
    """A subject may be missing (distribution-spec, "Pushing Manifests with Subject"); all else must be here."""
    repository = storage.find(name)
    blobs = set() if repository is None else repository.blobs
    manifests = {} if repository is None else repository.manifests
    missing = [digest for digest in document.blobs if digest not in blobs]
    missing += [digest for digest in document.manifests if digest not in manifests]
    if missing:
        raise errors.references_unknown(missing)
