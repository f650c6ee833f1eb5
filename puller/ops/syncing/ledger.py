"""Ledger: what a run has come to so far: items in the order of the configuration, problems, warnings, sums."""

from collections.abc import Iterable, Sequence

from puller.errors import PullerError
from puller.mirror.config import Mirror
from puller.model.event import Mirrored, Report, Settled, Stumbled, Warned
from puller.model.sync import Item
from puller.ops.syncing.pairs import Pair


class _Share:
    """Of one mirror: how much of it is still to come, and what has come of the rest."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.pairs = 0
        self.counts: dict[str, int] = {}
        self.failed = 0
        self.fetched = 0
        self.sent = 0
        self.unmatched: frozenset[str] | None = None

    def add(self, item: Item) -> None:
        """Count one tag."""
        self.counts[item.outcome] = self.counts.get(item.outcome, 0) + 1
        self.failed += item.error is not None
        if item.carried is not None:
            self.fetched += item.carried.fetched
            self.sent += item.carried.sent


class Ledger:
    """Keeps all of it, and tells whoever listens."""

    def __init__(self, mirrors: Sequence[Mirror], report: Report) -> None:
        self._report = report
        self._shares = {mirror: _Share(mirror) for mirror in mirrors}
        self._slots: dict[str, list[list[Item | None]]] = {}
        self.problems: list[tuple[str, dict[str, object]]] = []
        self.warnings: list[str] = []

    def items(self) -> tuple[Item, ...]:
        """All items so far: place by place as these were expected, then in the order of their slots."""
        rooms = (room for rooms in self._slots.values() for room in rooms)
        return tuple(item for room in rooms for item in room if item is not None)

    def room(self, target: str, size: int) -> list[Item | None]:
        """Slots for so many tags of one place, whose items come in any order."""
        room: list[Item | None] = [None] * size
        self._slots.setdefault(target, []).append(room)
        return room

    def settle(self, pair: Pair, item: Item) -> None:
        """One tag of a mirror is done with."""
        self._shares[pair.mirror].add(item)
        self.tell(item)

    def tell(self, item: Item) -> None:
        """One tag is done with; its slot has it."""
        self._report(Settled(item))

    def trouble(self, mirror: Mirror, error: PullerError, source: str | None = None) -> None:
        """Something failed that is no tag's own fault."""
        facts = error.facts()
        self.problems.append((source or mirror.source.name, facts))
        self._shares[mirror].failed += 1
        self._report(Stumbled(source or mirror.source.name, facts))

    def warn(self, text: str, about: str = "sync") -> None:
        """Done, but look."""
        self.warnings.append(text)
        self._report(Warned(about, text))

    def matched(self, pair: Pair, unmatched: frozenset[str]) -> None:
        """What of a rule matched nothing in one repository; what matched in none of them is told in the end."""
        share = self._shares[pair.mirror]
        share.unmatched = unmatched if share.unmatched is None else share.unmatched & unmatched

    def expect(self, pairs: Iterable[Pair]) -> None:
        """These are to come."""
        for pair in pairs:
            self._shares[pair.mirror].pairs += 1
            self._slots.setdefault(pair.target, [])

    def close_empty(self) -> None:
        """Tell of the mirrors that nothing is to come of."""
        for share in self._shares.values():
            if not share.pairs:
                self._close(share)

    def done(self, pairs: Iterable[Pair]) -> None:
        """These are through."""
        for pair in pairs:
            share = self._shares[pair.mirror]
            share.pairs -= 1
            if not share.pairs:
                self._close(share)

    def _close(self, share: _Share) -> None:
        mirror = share.mirror
        for text in sorted(share.unmatched or ()):
            self.warn(f"{mirror.source.name}: {text}", mirror.source.name)
        self._report(
            Mirrored(
                mirror.source.name,
                str(mirror.target),
                mirror.line,
                dict(share.counts),
                share.failed,
                share.fetched,
                share.sent,
            )
        )
