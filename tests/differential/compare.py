"""Whether two readings of one archive agree: the rule, with no exceptions in it (those are in `known`)."""

from collections.abc import Sequence
from typing import NamedTuple

from tests.differential.member import Member, Reading

ALL = "members"  # there are others, or fewer, or more


class Difference(NamedTuple):
    """`fields` of Member that differ, or ALL; `ours` and `theirs` are the first that do."""

    fields: frozenset[str]
    ours: object
    theirs: object


def difference(ours: Reading, theirs: Reading) -> Difference | None:
    """None where they agree. A reader that refuses is stricter than we: what it told before must all be ours, too."""
    if theirs.refusal:
        return _among(ours.members, theirs.members)
    if len(ours.members) != len(theirs.members):
        return Difference(frozenset((ALL,)), ours.members, theirs.members)
    if found := _fields(ours.members, theirs.members):
        return found
    if None not in (ours.contents, theirs.contents) and ours.contents != theirs.contents:
        return Difference(frozenset(("content",)), ours.contents, theirs.contents)
    return None


def _among(ours: Sequence[Member], theirs: Sequence[Member]) -> Difference | None:
    """Each of theirs against the one of ours that is nearest to it: some reader may have left out any of them."""
    if not ours and theirs:
        return Difference(frozenset((ALL,)), (), theirs[0])
    nearest = [(min(ours, key=lambda mine: len(_differing(mine, other))), other) for other in theirs]
    odd = [pair for pair in nearest if _differing(*pair)]
    fields = frozenset(field for pair in odd for field in _differing(*pair))
    return Difference(fields, *odd[0]) if odd else None


def _fields(ours: Sequence[Member], theirs: Sequence[Member]) -> Difference | None:
    found: set[str] = set()
    first: tuple[Member, Member] | None = None
    for pair in zip(ours, theirs, strict=False):
        differing = _differing(*pair)
        found |= differing
        first = first or (pair if differing else None)
    return Difference(frozenset(found), *first) if first else None


def _differing(ours: Member, theirs: Member) -> set[str]:
    triples = zip(Member._fields, ours, theirs, strict=True)
    # What a reader does not tell it does not deny.
    return {field for field, mine, other in triples if mine != other and other is not None and mine is not None}
