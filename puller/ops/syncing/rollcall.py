"""Roll call: a target's own list of tags, which for a while stands for asking after each of them."""

from puller.errors import PullerError
from puller.mirror.state import State
from puller.ops.syncing.pairs import Pair
from puller.ops.syncing.places import Places

LEAST = 4  # tags of a pair; fewer cost hardly more than their list
PAGE = 100  # names that one request brings, of registries that bring few


async def roll_call(pair: Pair, wanted: int, places: Places, state: State, *, now: float) -> frozenset[str]:
    """The tags that a target has, where that will do for `wanted` of them; else none: each is to be asked after.

    It does for as long as the mirror's `recheck` after each of them was found to be what was brought. Directories and
    stores are asked without a request. `now` is in seconds since the epoch.
    """
    looked = state.looked(pair.target, pair.source)
    is_due = looked is None or not looked <= now < looked + pair.mirror.recheck.total_seconds()
    if pair.mirror.target.kind != "registry" or wanted < LEAST or is_due:
        return frozenset()
    listed: set[str] = set()
    try:
        async for tag in (await places.keeper(pair.target)).tags():
            listed.add(tag)
            if len(listed) > PAGE * (wanted // 2):  # it would cost more requests than it saves
                break
    except PullerError:
        return frozenset()  # who asks after each tag hears of it
    return frozenset(listed)
