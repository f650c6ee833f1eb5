"""Collection in a layout that others write into as well, who take no lease: what is young stays, whoever made it."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from puller.errors import InputError, StoreError, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.facts import Facts
from puller.model.manifest import Index, parse_manifest
from puller.model.mediatype import OCTETS
from puller.model.referrer import tag_of
from puller.store import naming
from puller.store.disk import DiskStore
from puller.store.gc import Collected, collect
from puller.store.refers import is_list
from puller.store.tags import Tags

DAY = 86_400.0


async def collect_plain(
    store: DiskStore, tags: Tags, *, grace: float, clock: Callable[[], float] = time.time
) -> Collected:
    """Free what no name and no lease reaches, nothing that stays until a date, and what is older than `grace` seconds.

    The list of referrers of an image that goes, goes with it. Raises as `gc.collect`.
    """
    patient = _Patient(store, clock() - grace)
    result = await collect(patient, clock=clock)
    while await _unlist(tags, result.freed):
        more = await collect(patient, clock=clock)
        freed = (*result.freed, *more.freed)
        result = replace(more, freed=freed, size=result.size + more.size, swept=result.swept)
    return result


async def _unlist(tags: Tags, freed: Sequence[Digest]) -> int:
    """Take away the lists of the referrers of what was freed; how many there were."""
    known = naming.by_name(await tags.entries())
    lists = {tag_of(digest) for digest in freed} & known.keys()
    mine = [name for name in lists if is_list(known[name])]
    for name in mine:
        await tags.drop(name, known[name].digest)
    return len(mine)


class _Patient(DiskStore):
    """The same store to a collector: what was written since `before` is needed; of an index what is not here was left
    out on purpose, for image-layout.md asks nobody to have all of it.
    """

    def __init__(self, store: DiskStore, before: float) -> None:
        super().__init__(store.layout, store.files, store.worker, reserve=0, durable=True, sleep=store.locks.sleep)
        self._before = before

    async def roots(self) -> tuple[Descriptor, ...]:
        """As of the store, and what is young."""
        young = [digest async for digest in super().digests() if await self._is_young(digest)]
        return (*await super().roots(), *[await naming.guessed(self, digest) for digest in young])

    async def digests(self) -> AsyncIterator[Digest]:
        """Every blob that is old enough to go."""
        async for digest in super().digests():
            if not await self._is_young(digest):
                yield digest

    async def facts(self, digest: Digest) -> Facts:
        """What was proved of a blob; of an index which entries are not here."""
        known = await super().facts(digest)
        try:
            document = await self._document(digest)
        except (InputError, VerificationError, StoreError):
            return known
        if not isinstance(document, Index):
            return known
        missing = [entry.digest for entry in document.manifests if await self.size(entry.digest) is None]
        return replace(known, absent=tuple(missing))

    async def _document(self, digest: Digest) -> object:
        size = await self.size(digest)
        if size is None or size > MAX_BYTES:
            return None
        return parse_manifest(await self.read(Descriptor(OCTETS, digest, size), limit=MAX_BYTES), None)

    async def _is_young(self, digest: Digest) -> bool:
        status = await self.worker.run(self.files.look, self.layout.blob(digest))
        return status is not None and status.st_mtime >= self._before
