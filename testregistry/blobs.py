"""Blobs: pull, existence and deletion (distribution-spec end-2, end-10)."""

from __future__ import annotations

from testregistry import errors
from testregistry.answer import Answer
from testregistry.call import Call
from testregistry.grammar import is_blob_name
from testregistry.manner import Manner
from testregistry.serving import serve_content
from testregistry.storage import Storage

BLOB_TYPE = "application/octet-stream"


async def handle(storage: Storage, call: Call, manner: Manner) -> Answer:
    """Answer a request to `/v2/<name>/blobs/<digest>`, or `<tarsum label>`. Raises Refusal."""
    name, digest = call.name, call.reference
    if not is_blob_name(digest):
        raise errors.digest_invalid(digest)
    if call.method not in ("GET", "HEAD", "DELETE"):
        raise errors.unsupported("blobs know GET, HEAD and DELETE", allow="GET, HEAD, DELETE")
    if call.method == "DELETE":
        manner.check_delete("blobs")
    if storage.find(name) is None:
        raise errors.name_unknown(name)
    body = storage.blob(name, digest)
    if body is None:
        raise errors.blob_unknown(digest)
    if call.method == "DELETE":
        storage.drop_blob(name, digest)
        return Answer(202)
    return serve_content(body, digest, BLOB_TYPE, call.headers, method=call.method)
