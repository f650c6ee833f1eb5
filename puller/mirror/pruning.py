"""Pruning: which tags go of those that syncs have brought and nobody selects any more. Pure.

A wrong rule, or half a list, looks like many tags that are not wanted. So a run takes away only a few at a time, and
where more would go than that, none does: somebody has to say that it is meant (DEMANDS C20, THREATS H3).
"""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Literal

from puller.mirror.config import Prune


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to become of a tag that is not wanted, and why, in a sentence."""

    name: str
    action: Literal["pruned", "waiting", "kept"]
    why: str


def judge(
    ours: Collection[str],
    wanted: Set[str],
    *,
    whole: bool,
    prune: Prune,
    since: Mapping[str, float],
    now: float,
) -> list[Fate]:
    """The fates of all of `ours` that are not `wanted`, by name.

    `ours` are the tags that syncs have brought to a place; others are not judged. `wanted` is what all mirrors of that
    place select together. `whole`: all lists were had, none was empty, and all that is wanted is there. `since` says
    when a tag was first not wanted, in seconds since the epoch as `now` is; what it does not name is so since now.
    """
    unwanted = sorted(set(ours) - wanted)
    if not unwanted:
        return []
    if not whole:
        return _all(unwanted, "not all that is wanted is known and there, so nothing goes")
    if not wanted:
        return _all(unwanted, "nothing is selected any more, so nothing goes")
    grace = prune.grace.total_seconds()
    ages = {name: max(0.0, now - since.get(name, now)) for name in unwanted}
    # Those that were wanted last stay where some have to.
    lasting = sorted(unwanted, key=lambda name: (ages[name], name))
    staying = set(lasting[: max(0, prune.keep - len(set(ours) & wanted))])
    waiting = {name for name in unwanted if name not in staying and ages[name] < grace}
    due = [name for name in unwanted if name not in staying and name not in waiting]
    limit = _limit(len(set(ours)), prune)
    held = "" if len(due) <= limit else f"{len(due)} of {len(set(ours))} would go, more than {_called(limit)}"
    return [_fate(name, staying, waiting, held, prune, grace - ages[name]) for name in unwanted]


def strictest(rules: Sequence[Prune]) -> Prune:
    """The one rule that keeps to all of them; there is one at least."""
    first = rules[0]
    for rule in rules[1:]:
        first = replace(
            first,
            keep=max(first.keep, rule.keep),
            most=min((limit for limit in (first.most, rule.most) if limit is not None), default=None),
            share=min((limit for limit in (first.share, rule.share) if limit is not None), default=None),
            grace=max(first.grace, rule.grace),
        )
    return first


def _limit(total: int, prune: Prune) -> int:
    """How many may go in one run. A share lets one go however few there are, unless it is none at all."""
    limit = total if prune.most is None else min(total, prune.most)
    if prune.share is None:
        return limit
    return min(limit, 0 if prune.share <= 0 else max(1, int(total * prune.share + 1e-9)))  # 0.07 * 100 is below 7


def _fate(name: str, staying: Set[str], waiting: Set[str], held: str, prune: Prune, left: float) -> Fate:
    if name in staying:
        return Fate(name, "kept", f"not selected any more, and one of the {prune.keep} that stay at least")
    if name in waiting:
        return Fate(name, "waiting", f"not selected any more; goes in {_span(left)} unless it is by then")
    if held:
        return Fate(name, "kept", f"not selected any more, but {held}")
    return Fate(name, "pruned", "not selected any more")


def _all(names: Sequence[str], why: str) -> list[Fate]:
    return [Fate(name, "kept", f"not selected, but {why}") for name in names]


def _called(limit: int) -> str:
    return f"the {limit} that `max` lets go in one run" if limit else "`max` lets go, which is none"


def _span(seconds: float) -> str:
    """About how long, rounded up: `6 days`, `3 hours`."""
    for unit, length in (("day", 86400.0), ("hour", 3600.0)):
        if seconds > length:
            number = int(-(-seconds // length))
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return "an hour at most"
