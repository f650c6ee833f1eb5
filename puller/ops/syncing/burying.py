"""Burying: keeps what a tag names, before it goes or names something else, so that undo can bring it back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from puller.mirror.known import UNDO_WINDOW, Kind, Tombstone
from puller.mirror.state import State
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.ops.copying.place import repository_of
from puller.ops.copying.reading import read_document
from puller.ops.syncing.places import Places


@runtime_checkable
class Retaining(Protocol):
    """A place that frees in time what no tag needs, whoever asks it to."""

    async def retain(self, descriptor: Descriptor, until: float) -> None:
        """Have it stay until then (seconds since the epoch), on the disk when this returns. Raises StoreError."""
        ...


@dataclass(frozen=True, slots=True)
class Undertaker:
    """Of one run. `now` gives seconds since the epoch."""

    run: str
    places: Places
    state: State
    now: Callable[[], float]

    async def bury(self, target: str, name: str, root: Digest, kind: Kind) -> Tombstone:
        """Keep the manifest that the tag `name` names at `target`; it is on the disk when this returns.

        A place that is collected, by runs of other states as well, keeps the content as long as undo reaches back.
        Raises NotFound, ContentMissing and any other error of a place from which it cannot be had, and StoreError.
        """
        place = await self.places.source(target)
        descriptor = await place.resolve(repository_of(target).with_digest(root))
        raw = await read_document(place, descriptor)
        keeper = await self.places.keeper(target)
        if isinstance(keeper, Retaining):
            await keeper.retain(descriptor, self.now() + UNDO_WINDOW)
        known = self.state.known(target, name)
        source, manner = (known.source, known.manner) if known is not None and known.root == str(root) else ("", "")
        tombstone = Tombstone(
            self.run, target, name, str(root), descriptor.media_type, raw, self.now(), kind, source, manner
        )
        self.state.bury(tombstone)
        return tombstone
