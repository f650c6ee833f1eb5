"""Gate: the one way into the store for a pull. What comes through it is leased, verified, and told."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from puller.contracts.content import ContentStore, Lease, Source
from puller.errors import ContentCorrupt, ContentMissing, PullerError
from puller.model.descriptor import Descriptor
from puller.ops.pulling.ledger import Ledger
from puller.ops.pulling.plan import Step
from puller.ops.pulling.transfer import Transferred, Watch, copy_blob

MENDS = 2  # how often what is found damaged is fetched anew: a disk that spoils it again is past mending

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gate:
    """Brings blobs from a source into a store on behalf of one pull."""

    source: Source
    store: ContentStore
    lease: Lease
    ledger: Ledger

    async def bring(
        self, step: Step, watch: Watch, *, seen: Callable[[], Awaitable[T]], known: Callable[[], Awaitable[T]]
    ) -> tuple[Transferred | None, T]:
        """The blob of `step`, and what it is: told by `seen` if it came now, under the eyes of what `watch` made; by
        `known` if it was here before (then there is no Transferred).

        `known` may find that what is here is damaged (ContentCorrupt): then it is fetched again (RELIABILITY L7).
        """
        wanted = step.descriptor
        await self.lease.hold([wanted.digest])
        try:
            mends = MENDS
            while (transferred := await self._copied(wanted, watch)) is None:
                try:
                    return None, await known()
                except (ContentCorrupt, ContentMissing):  # missing: another pull has just thrown the damaged one away
                    if mends == 0:
                        raise
                    mends -= 1
                    await self.store.discard_damaged(wanted.digest)
            return transferred, await seen()
        except PullerError as error:
            raise error.at(digest=wanted.digest, phase=step.role) from error.__cause__

    async def _copied(self, wanted: Descriptor, watch: Watch) -> Transferred | None:
        return await copy_blob(self.source, self.store, wanted, watch, report=self.ledger.tell)
