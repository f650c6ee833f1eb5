"""Pairs: which repository goes to which place, once every `*` stands for something; and lanes, all that go to one."""

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from os.path import normpath
from pathlib import Path

from puller.errors import InvalidConfig, InvalidReference, PullerError
from puller.mirror.config import Mirror
from puller.model.reference import Reference
from puller.model.sync import Manner
from puller.model.text import printable
from puller.ops.syncing.places import Places

_PARTS = {"blobs", "index.json", "oci-layout"}  # of a directory of images
MAX_NAMED = 5  # names of a catalog that are no names, each with a warning of its own
Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pair:
    """One repository and the place that it goes to, both as texts."""

    mirror: Mirror
    source: str
    target: str

    @property
    def manner(self) -> Manner:
        """How its images are brought."""
        mirror = self.mirror
        return Manner(tuple(map(str, mirror.platforms)), mirror.index, mirror.referrers, mirror.verify)

    @property
    def reference(self) -> Reference:
        """The repository at the source."""
        return Reference.parse(self.source)

    @property
    def selection(self) -> str:
        """The source with what is chosen of it, told apart from what other mirrors bring from there."""
        rule = self.mirror.tags
        patterns = [[pattern.pattern for pattern in some] for some in (rule.allow, rule.deny)]  # whose repr is cut
        chosen = repr((replace(rule, allow=(), deny=()), patterns, self.mirror.renamed))
        return f"{self.source} {hashlib.sha256(chosen.encode()).hexdigest()[:16]}"

    def name_of(self, tag: str) -> str:
        """What a tag, or a digest, is called at the target."""
        return self.mirror.renamed or tag

    def is_immutable(self, tag: str) -> bool:
        """Whether it never names anything else: as said, or because it is a digest."""
        return ":" in tag or any(pattern.fullmatch(tag) for pattern in self.mirror.immutable)


@dataclass(frozen=True, slots=True)
class Lane:
    """All that goes to one place, in the order of the configuration.

    `others` go there too, and are not of this run: what they select is not pruned. `is_sure`: there is nothing that
    could not be found out of what else goes there.
    """

    target: str
    pairs: tuple[Pair, ...]
    others: tuple[Pair, ...] = ()
    is_sure: bool = True


class Expansion:
    """Makes lanes of mirrors. `warn` hears of what was passed over, `trouble` of mirrors whose catalog was not had."""

    def __init__(self, places: Places, warn: Warn, trouble: Callable[[Mirror, PullerError], None]) -> None:
        self._places = places
        self._warn = warn
        self._trouble = trouble
        self._unknown: list[Mirror] = []

    async def lanes(self, mirrors: Sequence[Mirror], chosen: Callable[[Mirror], bool]) -> list[Lane]:
        """The lanes of the mirrors that are `chosen`. Others are looked at where one of these prunes."""
        pairs = await self._pairs([mirror for mirror in mirrors if chosen(mirror)], silent=False)
        by_target = _by_target(pairs)
        pruned = {target for target, held in by_target.items() if any(pair.mirror.prune for pair in held)}
        near = [mirror for mirror in mirrors if not chosen(mirror) and reached(mirror, pruned)]
        others = _by_target(await self._pairs(near, silent=True))
        doubtful = {target for mirror in self._unknown for target in reached(mirror, pruned)}
        return [
            Lane(target, tuple(held), tuple(others.get(target, ())) if target in pruned else (), target not in doubtful)
            for target, held in by_target.items()
        ]

    async def _pairs(self, mirrors: Sequence[Mirror], *, silent: bool) -> list[Pair]:
        found: list[Pair] = []
        for mirror in mirrors:
            try:
                found += [pair async for pair in self._of(mirror)]
            except PullerError as error:
                self._unknown.append(mirror)
                if not silent:
                    self._trouble(mirror, error.at(reference=mirror.source.name, phase="catalog"))
        return found

    async def _of(self, mirror: Mirror) -> AsyncIterator[Pair]:
        """The pairs of one mirror. Raises InvalidConfig, RegistryError."""
        name = mirror.source.name
        if "*" not in name:
            yield _apart(Pair(mirror, name, target_of(mirror, name, "")))
            return
        registry, _, pattern = name.partition("/")
        if "*" in registry or pattern.count("*") != 1 or mirror.target.name.count("*") > 1:
            what = "one `*` is all that a repository may hold, and none stands in a registry's name"
            raise InvalidConfig(what, where=f"line {mirror.line}", got=name)
        shape = re.compile("(.+)".join(map(re.escape, pattern.split("*"))), re.DOTALL)
        is_nested = shape.fullmatch(target_of(mirror, name, "x").removeprefix(f"{registry}/")) is not None
        strange = 0
        unmatched = {rule.pattern for rule in mirror.repositories.allow}
        seen: set[str] = set()
        async for repository in self._places.catalog(registry):
            match = shape.fullmatch(repository)
            if match is None or repository in seen:
                continue
            unmatched -= {rule.pattern for rule in mirror.repositories.allow if rule.fullmatch(match[1])}
            if not mirror.repositories.admits(match[1]):
                continue
            try:
                source = Reference(registry, repository)
                target = target_of(mirror, source.name, match[1])
            except InvalidReference as error:
                strange += 1
                if strange <= MAX_NAMED:
                    self._warn(
                        f"the catalog of {registry} lists what is no name: {printable(repository)}: {error.what}"
                    )
                continue
            if is_nested and reached(mirror, {source.name}):
                continue  # its own work: each run would bring it once more, and deeper
            seen.add(repository)
            yield _apart(Pair(mirror, source.name, target))
        if strange > MAX_NAMED:
            self._warn(f"the catalog of {registry} lists {strange} names that are none")
        if not seen:
            self._warn(f"{name} names no repository")
        for pattern in sorted(unmatched):
            self._warn(f"{name}: no repository is allowed by {pattern or repr('')}")


def _apart(pair: Pair) -> Pair:
    """The same. Raises InvalidConfig where its tags would be brought to themselves, and pruned where they come from."""
    if pair.source == pair.target and pair.mirror.renamed is None:
        raise InvalidConfig("a repository is no mirror of itself", where=f"line {pair.mirror.line}", got=pair.source)
    return pair


def target_of(mirror: Mirror, source: str, stood: str) -> str:
    """The place of a mirror's target for one repository, where its `*` stood for `stood`.

    Raises InvalidReference where that makes no name.
    """
    place = mirror.target
    if place.kind == "registry":
        return Reference.parse(place.name.replace("*", stood)).name
    directory = _absolute(place.name)
    if place.kind == "store":
        return f"store:{directory}#{source}"
    if not _PARTS.isdisjoint(stood.split("/")):  # it would lie within another's directory of images (THREATS A6)
        raise InvalidReference("no directory of images can have that name", got=stood)
    if "*" in place.name:
        return f"oci:{normpath(directory.replace('*', stood))}"
    return f"oci:{normpath(f'{directory}/{stood}')}"


def reached(mirror: Mirror, targets: Set[str]) -> Set[str]:
    """Those of `targets` that a mirror may bring anything to, whatever its `*` stands for."""
    if "*" not in mirror.source.name:
        return {target_of(mirror, mirror.source.name, "")} & targets
    stars = re.compile(".+".join(map(re.escape, mirror.source.name.split("*"))))
    kind, name = mirror.target.kind, mirror.target.name
    directory = _absolute(name)
    if kind == "store":
        head = f"store:{directory}#"
        return {one for one in targets if one.startswith(head) and stars.fullmatch(one.removeprefix(head))}
    text = name if kind == "registry" else f"oci:{directory if '*' in name else directory + '/*'}"
    shape = re.compile(".+".join(map(re.escape, text.split("*"))))
    return {one for one in targets if shape.fullmatch(one)}


def among(chosen: Collection[Mirror] | None) -> Callable[[Mirror], bool]:
    """Whether a mirror is of this run; None: all are."""
    return (lambda mirror: True) if chosen is None else frozenset(chosen).__contains__


def _by_target(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.target, []).append(pair)
    return found


def _absolute(directory: str) -> str:
    """As it is remembered, wherever the next run begins; links in it stay what they are."""
    return normpath(Path(directory).absolute()) if directory else ""
