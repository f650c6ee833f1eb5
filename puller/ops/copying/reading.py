"""Reading: documents whole and verified, from the nearest who has them."""

from puller.contracts.content import Fetcher, disowned
from puller.contracts.images import Held
from puller.errors import DigestMismatch, LayerError, PullerError, RegistryError, SizeMismatch, StoreError, Unsupported
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES, MAX_DOCUMENTS, MAX_TOTAL
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.stream.verifier import BlobVerifier

# What may be said of a place that had something before, so that it is worth asking its first source.
LOST = (RegistryError, StoreError, LayerError, DigestMismatch, SizeMismatch)


class Bounds:
    """What is read of documents for one image (THREATS C10, C20)."""

    def __init__(self, *, documents: int = MAX_DOCUMENTS, total: int = MAX_TOTAL) -> None:
        self.documents = documents
        self._total = total
        self._counted = 0
        self._size = 0

    @property
    def is_full(self) -> bool:
        """Whether no document more may be read."""
        return self._counted >= self.documents or self._size >= self._total

    def count(self, raw: bytes) -> None:
        """One more. Raises Unsupported."""
        self._counted += 1
        self._size += len(raw)
        if self._counted > self.documents:
            raise Unsupported("too many manifests under one name", wanted=f"at most {self.documents}")
        if self._size > self._total:
            raise Unsupported("too much metadata under one name", wanted=f"at most {self._total} bytes", got=self._size)


async def read_near(held: Held, near: Fetcher | None, source: Fetcher, wanted: Descriptor) -> bytes:
    """The document `wanted` from `near`, else from its source, for others to have too. Raises as `read_document`."""
    if near is not None:
        try:
            return await read_document(near, wanted)
        except LOST:
            pass
    raw = await read_document(source, wanted)
    held.lend(raw)
    return raw


async def read_document(fetcher: Fetcher, wanted: Descriptor) -> bytes:
    """All bytes of a document, its size and digest found right, from whichever of the fetcher's places has it right.

    Raises VerificationError; Unsupported beyond 4 MiB; whatever `fetch` raises.
    """
    if wanted.size is not None and wanted.size > MAX_BYTES:
        raise Unsupported("a document is too large", wanted=f"at most {MAX_BYTES} bytes", got=wanted.size)
    while True:
        try:
            return await _read(fetcher, wanted)
        except (DigestMismatch, SizeMismatch) as error:
            if not disowned(fetcher, wanted.digest):
                raise error.at(digest=wanted.digest) from error.__cause__
        except PullerError as error:
            raise error.at(digest=wanted.digest) from error.__cause__


async def _read(fetcher: Fetcher, wanted: Descriptor) -> bytes:
    verifier = BlobVerifier(wanted)
    found = bytearray()
    async with fetcher.fetch(wanted) as body:
        try:
            async for chunk in body:
                if len(found) + len(chunk) > MAX_BYTES:
                    raise Unsupported("a document is too large", wanted=f"at most {MAX_BYTES} bytes")
                verifier.write(chunk)
                found += chunk
            raw = bytes(found)
            # Of schema 1 registries say the digest of what is signed, stores that of all bytes.
            if wanted.media_type in SCHEMA1_MANIFESTS and Digest.of(raw, wanted.digest.algorithm) != wanted.digest:
                from puller.legacy.schema1 import parse_signed_manifest  # seldom needed, and slow to load

                parse_signed_manifest(raw, expected=wanted.digest)
            else:
                verifier.finish()
        except PullerError as error:
            origin = body.origin
            error.at(host=origin.redirect or origin.host, attempts=origin.attempts)
            raise
    return raw
