"""Hands: what is done on the way through a configuration: all of it, or nothing but telling."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from puller.mirror.config import Prune
from puller.mirror.state import State
from puller.model.descriptor import Descriptor
from puller.model.sync import Item, Manner
from puller.ops.syncing.bringing import Bringing
from puller.ops.syncing.pairs import Lane, Pair
from puller.ops.syncing.places import Places
from puller.ops.syncing.pruning import Pruning, foresee

if TYPE_CHECKING:
    from puller.mirror.plan import Forecast


class Doing:
    """Brings and prunes."""

    def __init__(self, bringing: Bringing, pruning: Pruning) -> None:
        self._bringing = bringing
        self._pruning = pruning

    async def bring(self, item: Item, *, reserve: int) -> Item:
        """See Hands."""
        return await self._bringing.bring(item, reserve=reserve)

    def adopt(self, item: Item, descriptor: Descriptor, manner: Manner) -> None:
        """See Hands."""
        self._bringing.adopt(item, descriptor, manner)

    def looked(self, pair: Pair) -> None:
        """See Hands."""
        self._bringing.looked(pair)

    async def prune(self, lane: Lane, wanted: frozenset[str], prune: Prune, *, whole: bool) -> Sequence[Item]:
        """See Hands."""
        return await self._pruning.prune(lane, wanted, prune, whole=whole)


class Telling:
    """Says what would be done, and what that would take."""

    def __init__(self, places: Places, state: State, now: Callable[[], float]) -> None:
        from puller.ops.syncing.forecast import Forecasting  # only now: whoever does it foretells nothing

        self._state = state
        self._now = now
        self._forecasting = Forecasting(places)

    def forecast(self) -> "Forecast":
        """What it takes to bring all that was told so far."""
        return self._forecasting.forecast()

    async def bring(self, item: Item, *, reserve: int) -> Item:
        """See Hands."""
        assert item.transfer is not None
        refused = await self._forecasting.add(item.transfer)
        if refused is None:
            return item
        return replace(item, action="failed", why=refused.what, error=refused.facts(), transfer=None)

    def adopt(self, item: Item, descriptor: Descriptor, manner: Manner) -> None:
        """See Hands."""

    def looked(self, pair: Pair) -> None:
        """See Hands."""

    async def prune(self, lane: Lane, wanted: frozenset[str], prune: Prune, *, whole: bool) -> Sequence[Item]:
        """See Hands."""
        return foresee(lane, wanted, prune, whole=whole, state=self._state, now=self._now())
