"""Whether two readings of one archive agree: the rule, with no exceptions in it (those are in `known`)."""

from collections.abc import Sequence
from typing import NamedTuple

from tests.differential.member import Member, Reading

ALL = "members"  # there are others, or fewer, or more
REFUSED = "refused"


class Difference(NamedTuple):
    """`fields` of Member that differ, or ALL; `ours` and `theirs` are the first that do."""

    fields: frozenset[str]
    ours: object
    theirs: object


def difference(ours: Reading, theirs: Reading) -> Difference | None:
    """None where they agree. A reader that refuses is stricter than we: what it told before must all be ours, too."""
    if theirs.refusal:
        odd = [member for member in theirs.members if not any(_same(mine, member) for mine in ours.members)]
        if not odd:
            return None
        return _fields(ours.members, theirs.members) or Difference(frozenset((ALL,)), ours.members, odd[0])
    if len(ours.members) != len(theirs.members):
        return Difference(frozenset((ALL,)), ours.members, theirs.members)
    if found := _fields(ours.members, theirs.members):
        return found
    if None not in (ours.contents, theirs.contents) and ours.contents != theirs.contents:
        return Difference(frozenset(("content",)), ours.contents, theirs.contents)
    return None


def _fields(ours: Sequence[Member], theirs: Sequence[Member]) -> Difference | None:
    found: set[str] = set()
    first: tuple[Member, Member] | None = None
    for pair in zip(ours, theirs, strict=False):
        differing = _differing(*pair)
        found |= differing
        first = first or (pair if differing else None)
    return Difference(frozenset(found), *first) if first else None


def _same(ours: Member, theirs: Member) -> bool:
    return not _differing(ours, theirs)


def _differing(ours: Member, theirs: Member) -> set[str]:
    triples = zip(Member._fields, ours, theirs, strict=True)
    # What a reader does not tell it does not deny.
    return {field for field, mine, other in triples if mine != other and other is not None and mine is not None}
