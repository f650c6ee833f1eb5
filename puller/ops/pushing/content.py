"""pushcontent: an image or index of the store as it is, byte for byte: as every copy, with a report of its own."""

from typing import Literal

import anyio

from puller.contracts.content import ContentStore, Lease
from puller.contracts.images import ImageTarget
from puller.errors import ContentMissing
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Planned
from puller.model.reference import Reference
from puller.ops.copying.bringing import Bringing
from puller.ops.copying.claims import LocalClaims
from puller.ops.copying.gathering import Gathering
from puller.ops.copying.stored import StoredImages
from puller.ops.pushing.ledger import PushLedger

_PULL = "Pull it again: only what is missing is fetched."
_SPARSE = "Pull it with --all-platforms first, or push what is here: --sparse."


class ContentPush:
    """Pushes one content image to one name. `sparse`: of an index, leave out what is not here."""

    def __init__(
        self,
        reference: Reference,
        store: ContentStore,
        lease: Lease,
        registry: ImageTarget,
        ledger: PushLedger,
        *,
        limiter: anyio.CapacityLimiter,
        sparse: bool = False,
    ) -> None:
        self._reference = reference
        self._ledger = ledger
        source = StoredImages(store, reference, "store:", lease=lease)
        self._gathering = Gathering(source, registry, LocalClaims(), ledger.warn, partial=sparse, lacking=_lacking)
        self._bringing = Bringing(self._gathering, ledger, limiter, ledger.tell)

    async def run(self, root: Descriptor) -> None:
        """Push all of `root`. Raises any PullerError; then the name has not moved."""
        gathered = await self._gathering.gather(root)
        ledger, root = self._ledger, gathered.root.descriptor  # with its payload's digest, where that is its name
        ledger.root = root
        ledger.tell(Planned(self._reference, root, (), tuple(gathered.blobs.values())))
        await self._bringing.bring(gathered)
        await self._bringing.name(gathered, () if self._reference.tag is None else (self._reference.tag,))


def _lacking(what: Literal["image", "blob"], role: str, digest: Digest) -> ContentMissing:
    if what == "image":
        text = "an image of the index is not here, nor in the registry"
        return ContentMissing(text, where=role or None, digest=digest, hint=_SPARSE)
    return ContentMissing("a blob is not in the store, nor in the registry", where=role, digest=digest, hint=_PULL)
