"""A world with two registries: what is at `up.example` is mirrored to `down.example`, one run after the other."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio

from puller.mirror.config import Config, Mirror, Place, Prune
from puller.mirror.plan import Plan
from puller.mirror.selection import TagRule
from puller.mirror.state import State
from puller.model.event import Event
from puller.model.sync import Item, SyncReport
from puller.ops.sync import Run, apply, plan, sync
from tests.ops.syncing.mirroring import Porter, Shelf, Shelves

UP, DOWN = "up.example/app", "down.example/app"
NOON = 1_800_000_000.0


def mirror(*, source: str = UP, target: str = DOWN, line: int = 3, **more: Any) -> Mirror:
    """All of one repository to another, but for what is said."""
    kind, colon, rest = target.partition(":")
    place = Place("oci", rest) if colon and kind == "oci" else Place("registry", target)
    return Mirror(Place("registry", source), place, line=line, **more)


def patterns(*texts: str) -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, texts))


def tags(*exact: str, **more: Any) -> TagRule:
    return TagRule(exact=exact, **more)


@dataclass
class Story:
    """Runs in a row, over one state."""

    state: State
    shelves: Shelves = field(default_factory=Shelves)
    now: float = NOON
    left: int | None = None
    events: list[Event] = field(default_factory=list)
    ran: int = 0

    def __post_init__(self) -> None:
        self.porter = Porter(self.shelves)

    @property
    def up(self) -> Shelf:
        return self.shelves[UP]

    @property
    def down(self) -> Shelf:
        return self.shelves[DOWN]

    def sync(self, *mirrors: Mirror, only: Sequence[Mirror] | None = None) -> SyncReport:
        """One run; what places were asked counts from its begin."""
        run = self._begun()

        async def main() -> SyncReport:
            return await sync(
                Config(mirrors),
                run,
                places=self.shelves,
                carrier=self.porter,
                state=self.state,
                report=self.events.append,
                only=only,
            )

        return anyio.run(main)

    def plan(self, *mirrors: Mirror) -> Plan:
        run = self._begun()

        async def main() -> Plan:
            return await plan(
                Config(mirrors), "c.yml", places=self.shelves, state=self.state, now=run.now, report=self.events.append
            )

        return anyio.run(main)

    def apply(self, made: Plan) -> SyncReport:
        run = self._begun()

        async def main() -> SyncReport:
            return await apply(
                made, run, places=self.shelves, carrier=self.porter, state=self.state, report=self.events.append
            )

        return anyio.run(main)

    def _begun(self) -> Run:
        self.ran += 1
        self.now += 60
        self.events.clear()
        self.porter.carried.clear()
        for shelf in self.shelves.shelves.values():
            shelf.asked = Counter()
        return Run(f"r{self.ran}", "c.yml", lambda: self.now, left=lambda place: self.left)

    def carried(self) -> list[str | None]:
        """The tags that the last run has brought."""
        return sorted((transfer.tag for transfer in self.porter.carried), key=str)


@contextmanager
def story(folder: Path) -> Iterator[Story]:
    with State.open(folder / "state") as state:
        yield Story(state)


def actions(report: SyncReport | Plan) -> dict[str, str]:
    """What has become of each tag."""
    return {item.tag: item.action for item in report.items}


def item(report: SyncReport | Plan, tag: str) -> Item:
    return next(item for item in report.items if item.tag == tag)


def with_prune(one: Mirror, **more: Any) -> Mirror:
    return replace(one, prune=Prune(**more))
