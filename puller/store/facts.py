"""What was proved of blobs, kept beside them: `facts/<algorithm>/<hex>.json`, sealed by a digest of its own.

Facts can be computed again, so a file that is damaged in any way is no error: nothing is known then.
"""

import json
import logging

from puller.errors import InvalidManifest
from puller.model.digest import Digest
from puller.model.document import load_document, object_of
from puller.model.facts import Facts
from puller.store.failure import translated
from puller.store.files import Files
from puller.store.layout import Layout
from puller.store.locks import Locks

logger = logging.getLogger(__name__)

LIMIT = 4 << 20  # an index of ten thousand absent entries stays below, and so do the labels of 12,700 layers


class FactShelf:
    """The facts of one store."""

    def __init__(self, files: Files, layout: Layout, locks: Locks) -> None:
        self._files = files
        self._layout = layout
        self._locks = locks

    async def read(self, digest: Digest) -> Facts:
        """What is known of `digest`."""
        with translated():
            raw = await self._files.read(self._layout.fact(digest), limit=LIMIT)
        if raw is None:
            return Facts()
        try:
            return decode(raw, digest)
        except ValueError as error:
            logger.warning("facts of %s are damaged and will be computed again: %s", digest, error)
            return Facts()

    async def merge(self, digest: Digest, facts: Facts) -> None:
        """Add `facts` to what is known.

        Not synced, since a loss costs only time; except for absent platforms and discarded blobs, which no reading of
        a blob brings back and without which a power loss would make `verify` report them as missing (RELIABILITY R2),
        and for the blobs behind tarsum labels, which nothing else tells.
        """
        async with self._locks.held(self._layout.locks / "facts"):
            await self._write(digest, (await self.read(digest)).merged(facts))

    async def distrust(self, digest: Digest) -> None:
        """Forget what was proved of bytes that have gone bad; what was left out on purpose stays known."""
        async with self._locks.held(self._layout.locks / "facts"):
            known = await self.read(digest)
            await self._write(digest, known.left_out())

    async def _write(self, digest: Digest, facts: Facts) -> None:
        path, scratch = self._layout.fact(digest), self._layout.scratch("facts")
        with translated():
            await self._files.replace(
                path, encode(facts, digest), scratch=scratch, durable=_is_told_nowhere_else(facts)
            )


def _is_told_nowhere_else(facts: Facts) -> bool:
    return bool(facts.absent or facts.discarded) or facts.labels is not None


def encode(facts: Facts, digest: Digest) -> bytes:
    """The file for `facts` of `digest`: the seal covers both, so facts cannot move to another blob."""
    document = facts.encode()
    return json.dumps({"facts": document, "seal": _seal(document, digest)}, indent=1, sort_keys=True).encode()


def decode(raw: bytes, digest: Digest) -> Facts:
    """Read what `encode` wrote for `digest`. Raises ValueError for anything else."""
    document = load_document(raw, what="facts", limit=LIMIT)
    facts = object_of(document, "facts", what="facts")
    if document.get("seal") != _seal(facts, digest):
        raise InvalidManifest("facts do not bear their seal")
    return Facts.decode(facts)


def _seal(document: dict[str, object], digest: Digest) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return str(Digest.of(f"{digest} {canonical}".encode()))
