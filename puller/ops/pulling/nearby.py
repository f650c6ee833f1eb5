"""Nearby: a source that looks into local places first, by digest, and asks the registry only for what none of them has.

What a place holds is as good as what a registry sends: it goes through the same gate, and wrong bytes are fetched
anew from the next place or the registry. What a tag names is for the registry alone to say.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

from anyio import to_thread

from puller.contracts.content import Body, Source, disowned, labelled
from puller.contracts.lending import Lender
from puller.errors import InputError, LayerError, PullerError, StoreError, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import kind_of
from puller.model.mediatype import OCTETS, SCHEMA1_MANIFESTS
from puller.model.reference import Reference
from puller.model.report import Passed
from puller.ops.pulling.borrowed import Borrowed, read_small


class Nearby:
    """A Source, a LabelFetcher where `source` is one, and Alternatives. Safe to use from many tasks of one event loop.

    `places` are looked into in their order. `warn` hears of those that hold what is of no use.
    """

    def __init__(self, places: Sequence[Lender], source: Source, *, warn: Callable[[str], None]) -> None:
        self._places = tuple(places)
        self._source = source
        self._warn = warn
        self._served: dict[Digest, set[Lender]] = {}
        self._disowned: dict[Digest, set[Lender]] = {}
        self._told: set[tuple[Lender, str]] = set()

    async def resolve(self, reference: Reference) -> Descriptor:
        """What `reference` names. A digest is its own proof, so that one is looked for here first."""
        if reference.digest is not None:
            found = await self._described(reference.digest)
            if found is not None:
                return found
        return await self._source.resolve(reference)

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
        """The bytes of `wanted` from `offset` to the end; a place that breaks is followed by the next one."""
        served = self._served[wanted.digest] = set()
        disowned = self._disowned.get(wanted.digest, set())
        able = [place for place in self._places if place not in disowned]
        passed = [Passed(place.name, "held other bytes") for place in self._places if place in disowned]
        async with AsyncExitStack() as stack:
            body = Borrowed(
                self._source, wanted, offset, able, stack, served=served, passed=passed, useless=self._useless
            )
            await body.open()
            yield body

    def labelled(self, label: str) -> AbstractAsyncContextManager[Body]:
        """From the registry alone: a label proves too little for content of no matter whom."""
        return labelled(self._source, label)

    def disown(self, digest: Digest) -> bool:
        """See Alternatives. Of several who gave parts of it, the places are held to have done it."""
        served = self._served.pop(digest, set())
        if not served:
            return disowned(self._source, digest)
        self._disowned.setdefault(digest, set()).update(served)
        for place in sorted(served, key=lambda place: place.name):
            self._warn(f"{place.name} holds other bytes under {digest.short}: they were not used")
        return True

    async def _described(self, digest: Digest) -> Descriptor | None:
        """The manifest or index of this digest, if a place has it."""
        wanted = Descriptor(OCTETS, digest)
        for place in self._places:
            try:
                raw = await to_thread.run_sync(partial(read_small, place, wanted, limit=MAX_BYTES))
                if raw is None or Digest.of(raw, digest.algorithm) != digest:
                    continue
                kind = kind_of(raw)
            except (StoreError, LayerError, InputError, VerificationError):
                continue  # whoever fetches it says so
            if kind not in SCHEMA1_MANIFESTS:  # their digest is not that of all their bytes
                return Descriptor(kind, digest, len(raw))
        return None

    def _useless(self, place: Lender, wanted: Descriptor, error: PullerError) -> None:
        """Told once for each reason: a place that cannot be read has hundreds of blobs that cannot."""
        if (place, error.what) not in self._told:
            self._told.add((place, error.what))
            self._warn(f"{place.name} is of no use for {wanted.digest.short}: {error.what}")
