"""Roll call: a target's own list of tags, which for a while stands for asking after each of them."""

from dataclasses import dataclass
from typing import Final

from puller.contracts.images import TagKeeper
from puller.errors import NotFound, PullerError
from puller.mirror.state import State
from puller.ops.syncing.pairs import Pair
from puller.ops.syncing.places import Places

LEAST = 4  # tags of a pair; fewer cost hardly more than their list
PAGE = 100  # names that one request brings, of registries that bring few


@dataclass(frozen=True, slots=True)
class Roll:
    """What a target's list has told: `tags` need not be asked after. `is_absent`: no repository, so no tag at all.

    What is on no roll is to be asked after.
    """

    tags: frozenset[str] = frozenset()
    is_absent: bool = False


UNTOLD: Final = Roll()


async def roll_call(pair: Pair, wanted: int, places: Places, state: State, *, now: float) -> Roll:
    """What the target's list tells of `wanted` tags; UNTOLD where it is of no use.

    It will do for as long as the mirror's `recheck` after each of them was found to be what was brought. Where nothing
    ever was, it tells no more than whether there is a repository. Directories and stores are asked without a request.
    `now` is in seconds since the epoch.
    """
    if pair.mirror.target.kind != "registry" or wanted < LEAST:
        return UNTOLD
    looked = state.looked(pair.target, pair.selection)
    if looked is not None and not looked <= now < looked + pair.mirror.recheck.total_seconds():
        return UNTOLD
    try:
        keeper = await places.keeper(pair.target)
        # A longer list would cost more requests than it saves.
        tags = await _listed(keeper, most=1 if looked is None else PAGE * (wanted // 2))
    except NotFound:
        return Roll(is_absent=True)
    except PullerError:
        return UNTOLD  # who asks after each tag hears of it
    return UNTOLD if looked is None else Roll(tags)


async def _listed(keeper: TagKeeper, *, most: int) -> frozenset[str]:
    found: set[str] = set()
    async for tag in keeper.tags():
        found.add(tag)
        if len(found) >= most:
            break
    return frozenset(found)
