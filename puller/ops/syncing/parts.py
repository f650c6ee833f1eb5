"""Parts: what of a run's report is about which mirror, and that it ran."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from puller.mirror.config import Mirror
from puller.mirror.state import State
from puller.model.sync import Item, SyncReport
from puller.ops.syncing.pairs import among, reached
from puller.ops.syncing.turns import Ran, keyed


@dataclass(frozen=True, slots=True)
class Part:
    """One mirror's share of a run: its tags, and what failed, as facts of errors with what they are about."""

    items: tuple[Item, ...] = ()
    failures: tuple[tuple[str, Mapping[str, object]], ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing of it failed."""
        return not self.failures


def parts_of(report: SyncReport, mirrors: Sequence[tuple[str, Mirror]]) -> dict[str, Part]:
    """Each mirror's part by its key. A failure that cannot be told to be of one mirror is of all."""
    items: dict[str, list[Item]] = {key: [] for key, _ in mirrors}
    failures: dict[str, list[tuple[str, Mapping[str, object]]]] = {key: [] for key, _ in mirrors}
    owners = _Owners(mirrors)
    for item in report.items:
        owner = owners.of(item)
        if owner is not None:
            items[owner].append(item)
        if item.error is not None:
            about = f"{item.source}{'@' if ':' in item.tag else ':'}{item.tag}"
            for key in items if owner is None else (owner,):
                failures[key].append((about, item.error))
    for source, error in report.problems:
        for key in [key for key, mirror in mirrors if _comes_from(source, mirror)] or items:
            failures[key].append((source, error))
    if report.error is not None:
        for key in items:
            failures[key].append(("the run", report.error))
    return {key: Part(tuple(items[key]), tuple(failures[key])) for key in items}


def rans_of(parts: Mapping[str, Part], report: SyncReport) -> dict[str, Ran]:
    """When each of them ran last after that run, and how it went."""
    ended = max(report.started, report.ended)
    return {key: Ran(report.started, ended, part.is_well) for key, part in parts.items()}


def note_runs(
    state: State, mirrors: Sequence[Mirror], report: SyncReport, only: Sequence[Mirror] | None = None
) -> None:
    """Remember when `only` those of a configuration's mirrors ran, None: all. Raises StoreError."""
    is_chosen = among(only)
    chosen = [(key, mirror) for key, mirror in keyed(mirrors) if is_chosen(mirror)]
    for key, ran in rans_of(parts_of(report, chosen), report).items():
        state.note_last(key, ran.started, ran.ended, ran.well)


class _Owners:
    """Finds the mirror of an item. Of the tags of one repository it is asked for once."""

    def __init__(self, mirrors: Sequence[tuple[str, Mirror]]) -> None:
        self._mirrors = mirrors
        self._by_line: dict[int, list[tuple[str, Mirror]]] = {}
        for key, mirror in mirrors:
            self._by_line.setdefault(mirror.line, []).append((key, mirror))
        self._known: dict[tuple[str, str, int], str | None] = {}

    def of(self, item: Item) -> str | None:
        """The key of the first that it can be of."""
        repository = item.source, item.target, item.line
        if repository not in self._known:
            self._known[repository] = next((key for key, one in self._near(item.line) if _is_of(item, one)), None)
        return self._known[repository]

    def _near(self, line: int) -> Sequence[tuple[str, Mirror]]:
        if not line:
            return self._mirrors
        return [*self._by_line.get(line, ()), *self._by_line.get(0, ())]


def _is_of(item: Item, mirror: Mirror) -> bool:
    # What is pruned comes from nowhere any more.
    return (not item.source or _comes_from(item.source, mirror)) and _goes_to(item.target, mirror)


def _comes_from(place: str, mirror: Mirror) -> bool:
    return place == str(mirror.source) or _stands_for(str(mirror.source), place)


def _goes_to(place: str, mirror: Mirror) -> bool:
    """A report has directories as they are told apart: absolute, wherever the configuration was read."""
    return place == str(mirror.target) or bool(reached(mirror, {place}))


def _stands_for(pattern: str, place: str) -> bool:
    if "*" not in pattern:
        return False
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), place) is not None
