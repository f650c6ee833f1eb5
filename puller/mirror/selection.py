"""Selection: which tags of a repository are brought, and why each is or is not. Pure.

A verdict is given in two steps, since what an image's age is costs a request: `by_name` sees names alone, `by_age` what
is left when the dates of creation are known.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from puller.mirror.version import Range, Version


@dataclass(frozen=True, slots=True)
class NameRule:
    """Which repositories are wanted of those that a pattern names; `allow` and `deny` match all that `*` stands for."""

    allow: tuple[re.Pattern[str], ...] = ()
    deny: tuple[re.Pattern[str], ...] = ()

    def admits(self, name: str) -> bool:
        """Whether a repository is wanted; deny wins."""
        return not _matching(name, self.deny) and bool(not self.allow or _matching(name, self.allow))


@dataclass(frozen=True, slots=True)
class TagRule:
    """What is wanted of a repository's tags. An empty rule takes all.

    `exact` tags, or digests (`sha256:…`), are taken without a list of the tags being asked for. `allow` and `deny`
    match whole tags; deny wins. `versions` and `suffix` want a version before exactly that suffix; pre-releases only
    with `prereleases`. `newest` keeps so many, by version or by creation; `max_age` those that are younger.
    """

    exact: tuple[str, ...] = ()
    allow: tuple[re.Pattern[str], ...] = ()
    deny: tuple[re.Pattern[str], ...] = ()
    versions: Range | None = None
    suffix: str = ""
    prereleases: bool = False
    newest: int | None = None
    newest_by: Literal["version", "created"] = "version"
    max_age: timedelta | None = None

    @property
    def lists(self) -> bool:
        """Whether the registry has to be asked for its tags."""
        return not self.exact or bool(self.allow or self.versions is not None or self.newest is not None)

    @property
    def wants_dates(self) -> bool:
        """Whether the dates of creation count."""
        return self.max_age is not None or (self.newest is not None and self.newest_by == "created")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One tag, or digest that was named: whether it is brought, and why."""

    tag: str
    chosen: bool
    why: str


def by_name(tags: Sequence[str], rule: TagRule) -> list[Verdict]:
    """A verdict on every tag, in the order given; `newest` counts here where it goes by version."""
    verdicts = [_named(tag, rule) for tag in dict.fromkeys((*rule.exact, *tags))]
    if rule.newest is None or rule.newest_by != "version":
        return verdicts
    chosen = [verdict.tag for verdict in verdicts if verdict.chosen and verdict.tag not in rule.exact]
    ranked = sorted(chosen, key=_rank, reverse=True)
    return _kept(verdicts, frozenset(ranked[rule.newest :]), f"not among the newest {rule.newest} by version")


def by_age(
    verdicts: Sequence[Verdict], created: Mapping[str, datetime | None], rule: TagRule, now: datetime
) -> list[Verdict]:
    """The same verdicts with age taken into account. A tag whose date is not known is kept, and `why` says so."""
    judged = [
        _aged(verdict, created.get(verdict.tag), rule, now) if verdict.chosen else verdict for verdict in verdicts
    ]
    if rule.newest is None or rule.newest_by != "created":
        return judged
    dated = [(created[verdict.tag], verdict.tag) for verdict in judged if verdict.chosen and created.get(verdict.tag)]
    known = [(date, tag) for date, tag in dated if date is not None and tag not in rule.exact]
    ranked = [tag for _, tag in sorted(known, reverse=True)]
    return _kept(judged, frozenset(ranked[rule.newest :]), f"not among the newest {rule.newest} by creation")


def _named(tag: str, rule: TagRule) -> Verdict:
    if tag in rule.exact:
        return Verdict(tag, True, "named")
    if denied := _matching(tag, rule.deny):
        return Verdict(tag, False, f"denied by {denied}")
    allowed = _matching(tag, rule.allow)
    if rule.allow and not allowed:
        return Verdict(tag, False, "allowed by no pattern")
    if rule.exact and not (rule.allow or rule.versions is not None or rule.newest is not None):
        return Verdict(tag, False, "not named")
    if rule.versions is not None or rule.suffix:
        return _versioned(tag, rule)
    return Verdict(tag, True, f"allowed by {allowed}" if allowed else "all are wanted")


def _versioned(tag: str, rule: TagRule) -> Verdict:
    parsed = Version.parse(tag.removesuffix(rule.suffix)) if tag.endswith(rule.suffix) else None
    if parsed is None or parsed[1]:
        wanted = f"before {rule.suffix}" if rule.suffix else "and nothing behind it"
        return Verdict(tag, False, f"no version {wanted}")
    version = parsed[0]
    if not version.is_release and not rule.prereleases:
        return Verdict(tag, False, "a pre-release")
    if rule.versions is None:
        return Verdict(tag, True, f"a version before {rule.suffix}")
    admitted = rule.versions.admits(version)
    return Verdict(tag, admitted, f"{'in' if admitted else 'not in'} {rule.versions.text}")


def _aged(verdict: Verdict, created: datetime | None, rule: TagRule, now: datetime) -> Verdict:
    if rule.max_age is None or verdict.tag in rule.exact:
        return verdict
    if created is None:
        return replace(verdict, why=f"{verdict.why}; its age is not known")
    age = now - created
    if age > rule.max_age:
        return Verdict(verdict.tag, False, f"{age.days} days old, more than {rule.max_age.days}")
    return verdict


def _kept(verdicts: Sequence[Verdict], dropped: frozenset[str], why: str) -> list[Verdict]:
    return [Verdict(v.tag, False, why) if v.tag in dropped else v for v in verdicts]


def _matching(tag: str, patterns: Sequence[re.Pattern[str]]) -> str:
    return next((pattern.pattern or "''" for pattern in patterns if pattern.fullmatch(tag)), "")


def _rank(tag: str) -> tuple[bool, Version, int, str]:
    """Versions by their order, more exact ones first among equals; what is no version comes last."""
    parsed = Version.parse(tag)
    version = parsed[0] if parsed is not None else Version((0,))
    return parsed is not None, version, len(version.numbers), tag
