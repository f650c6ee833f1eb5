"""Looking: which tags of a repository are wanted; what is asked for that is no more than the rule needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from puller.contracts.images import ImageSource
from puller.errors import PullerError
from puller.mirror.known import Known
from puller.mirror.selection import Verdict, by_age, by_name
from puller.mirror.state import State
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.referrer import is_companion
from puller.ops.syncing.dates import dates_of
from puller.ops.syncing.pairs import Pair
from puller.ops.tasks import abreast

_BESIDE = "it belongs to what refers to an image, and comes with that"


class Naming(Protocol):
    """What tags of one repository name, as far as that has to be asked for."""

    def settled(self, tag: str) -> Known | None:
        """What is known of a tag that need not be asked for again; None: it has to be."""
        ...

    async def resolve(self, tag: str) -> Descriptor:
        """What a tag, or a digest, names at the source. Raises any PullerError."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found in one repository.

    `resolved` holds what tags name, or why that is not known, where it was asked for on the way. `is_whole`: all that
    could be wanted is known, so that what is not wanted may go: there was a list, and it was not empty (DEMANDS C20).
    `unmatched` says which patterns of the rule no tag has matched.
    """

    verdicts: tuple[Verdict, ...]
    resolved: Mapping[str, Descriptor | PullerError] = field(default_factory=dict)
    is_whole: bool = True
    unmatched: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


async def look(pair: Pair, source: ImageSource, naming: Naming, state: State, *, now: datetime, width: int) -> Seen:
    """Verdicts on all tags of a repository. Raises RegistryError where its list cannot be had.

    Exact tags are not listed. Dates cost a manifest and a config for each digest that is not known.
    """
    rule = pair.mirror.tags
    listed = [tag async for tag in source.tags()] if rule.lists else []
    # A list of referrers is kept at the target for itself: what it has there need not be what it has here.
    beside = [tag for tag in listed if is_companion(tag)] if pair.mirror.referrers else []
    tags = [tag for tag in listed if not is_companion(tag)] if beside else listed
    is_whole = bool(tags) or not rule.lists
    warnings = () if is_whole else (f"{pair.source} has no tags",)
    verdicts = by_name(tags, rule)
    verdicts += [Verdict(tag, False, _BESIDE) for tag in beside]
    unmatched = _unmatched(pair, tags, verdicts) if tags else frozenset()
    if not rule.wants_dates:
        return Seen(tuple(verdicts), is_whole=is_whole, unmatched=unmatched, warnings=warnings)
    dating = _Dating(pair, source, naming, state, width)
    created = await dating.run([verdict.tag for verdict in verdicts if verdict.chosen])
    judged = tuple(by_age(verdicts, created, rule, now))
    return Seen(judged, dating.resolved, is_whole and not dating.missed, unmatched, (*warnings, *dating.missed))


class _Dating:
    """Finds out how old the images of some tags are."""

    def __init__(self, pair: Pair, source: ImageSource, naming: Naming, state: State, width: int) -> None:
        self._pair = pair
        self._source = source
        self._naming = naming
        self._state = state
        self._width = width
        self.resolved: dict[str, Descriptor | PullerError] = {}
        self.missed: list[str] = []

    async def run(self, tags: list[str]) -> dict[str, datetime | None]:
        roots: dict[str, Descriptor] = {}

        async def resolve(tag: str) -> None:
            settled = self._naming.settled(tag)
            if settled is not None:
                roots[tag] = Descriptor(settled.media_type, Digest.parse(settled.digest), settled.size)
                return
            try:
                roots[tag] = self.resolved[tag] = await self._naming.resolve(tag)
            except PullerError as error:
                self.resolved[tag] = error  # it is told where the tag is settled

        await abreast(tags, resolve, width=self._width)
        dates = await dates_of(
            list(roots.values()),
            self._source,
            self._pair.mirror.platforms,
            self._state,
            width=self._width,
            failed=self._failed,
        )
        return {tag: dates[root.digest] for tag, root in roots.items()}

    def _failed(self, root: Descriptor, error: PullerError) -> None:
        self.missed.append(f"{self._pair.source}@{root.digest}: its age could not be had: {error.what}")


def _unmatched(pair: Pair, tags: list[str], verdicts: list[Verdict]) -> frozenset[str]:
    """What of a rule has chosen nothing (DEMANDS C28)."""
    rule = pair.mirror.tags
    found = {
        f"no tag is allowed by {pattern.pattern}"
        for pattern in rule.allow
        if not any(pattern.fullmatch(tag) for tag in tags)
    }
    chosen = [verdict.tag for verdict in verdicts if verdict.chosen and verdict.tag not in rule.exact]
    if (rule.versions is not None or rule.suffix) and not chosen:
        text = rule.versions.text if rule.versions is not None else "any version"
        found.add(f"no tag is in {text}" + (f" before {rule.suffix}" if rule.suffix else ""))
    wanted = [verdict.tag for verdict in verdicts if verdict.chosen]
    for pattern in pair.mirror.immutable:
        if not any(pattern.fullmatch(tag) for tag in wanted):
            found.add(f"no tag that is wanted is immutable by {pattern.pattern}")
    return frozenset(found)
