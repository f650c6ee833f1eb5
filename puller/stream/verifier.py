"""BlobVerifier: bytes against the promise of a descriptor, refused at the first byte too many."""

import copy
from typing import Self

from puller.errors import DigestMismatch, SizeMismatch
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.stream.sink import Chunk, Digester


class BlobVerifier:
    """Checks size and digest of one blob.

    `write` raises SizeMismatch at the first chunk that exceeds the promise (so a liar cannot fill a disk); `finish`
    raises SizeMismatch for a short body, then DigestMismatch.
    """

    def __init__(self, expected: Descriptor) -> None:
        self.expected = expected
        self._digester = Digester(expected.digest.algorithm)

    @property
    def size(self) -> int:
        """Bytes seen so far."""
        return self._digester.size

    @property
    def digest(self) -> Digest:
        """The digest of the bytes seen so far."""
        return self._digester.digest

    def fork(self) -> Self:
        """Another one, as if it had seen the same bytes."""
        other = copy.copy(self)
        other._digester = self._digester.fork()
        return other

    def write(self, chunk: Chunk, /) -> None:
        limit = self.expected.size
        if limit is not None and self.size + len(chunk) > limit:
            got = f"{self.size + len(chunk)} bytes or more"
            raise SizeMismatch(
                "content is longer than promised",
                wanted=f"{limit} bytes",
                got=got,
                digest=self.expected.digest,
            )
        self._digester.write(chunk)

    def finish(self) -> None:
        expected = self.expected
        if expected.size is not None and self.size != expected.size:
            raise SizeMismatch(
                "content is shorter than promised",
                wanted=f"{expected.size} bytes",
                got=f"{self.size} bytes",
                digest=expected.digest,
            )
        if self.digest != expected.digest:
            raise DigestMismatch(
                "content has another digest",
                wanted=expected.digest,
                got=self.digest,
                where=f"{self.size} bytes read",
            )
