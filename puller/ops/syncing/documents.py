"""Documents: manifests and configs read whole from a source, and believed when their digest is right."""

from puller.contracts.content import Fetcher
from puller.errors import DigestMismatch, LimitExceeded
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.mediatype import SCHEMA1_MANIFESTS


async def read_document(fetcher: Fetcher, descriptor: Descriptor) -> bytes:
    """All bytes of a small document. Raises DigestMismatch, LimitExceeded and whatever `fetch` raises.

    The digest of a signed manifest of schema 1 is that of its payload, and is not looked at here.
    """
    raw = bytearray()
    async with fetcher.fetch(descriptor) as body:
        async for chunk in body:
            raw += chunk
            if len(raw) > MAX_BYTES:
                what = "a document is larger than any may be"
                raise LimitExceeded(what, wanted=f"at most {MAX_BYTES} bytes", digest=descriptor.digest)
    if descriptor.media_type not in SCHEMA1_MANIFESTS:
        actual = Digest.of(bytes(raw), descriptor.digest.algorithm)
        if actual != descriptor.digest:
            raise DigestMismatch("the document is not the one promised", wanted=descriptor.digest, got=actual)
    return bytes(raw)
