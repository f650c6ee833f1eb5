"""Version: what a tag like `v1.2.3-rc1-alpine` says, and the ranges that people write for versions.

Tags are no semantic versions: they stop after one number or two, and carry the flavour of the image behind a hyphen. So
a tag is read as numbers, perhaps a pre-release, and a rest; the rest is compared with the suffix that is asked for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import total_ordering
from typing import Self

from puller.errors import InvalidConfig

MAX_NUMBERS = 6
_TAG = re.compile(
    r"[vV]?(?P<numbers>[0-9]{1,12}(?:\.[0-9]{1,12}){0,5})"
    r"(?:[-.~]?(?P<kind>alpha|beta|pre|preview|dev|rc|cr|m|a|b)[-.]?(?P<turn>[0-9]{0,12}(?:\.[0-9]{1,12}){0,3})(?![A-Za-z]))?"
    r"(?P<rest>(?:[-_+](?=[A-Za-z0-9])|\.(?=[A-Za-z]))[A-Za-z0-9._+-]+)?",
    re.ASCII | re.IGNORECASE,
)
_KINDS = {"dev": 0, "a": 1, "alpha": 1, "b": 2, "beta": 2, "m": 3, "pre": 4, "preview": 4, "rc": 5, "cr": 5}
_COMPARATOR = re.compile(r"(?P<operator>>=|<=|>|<|=|!=|\^|~)?\s*(?P<version>[vV]?[0-9*xX][0-9A-Za-z.*-]*)", re.ASCII)
_SPAN = re.compile(r"(?P<first>\S+)\s+-\s+(?P<last>\S+)", re.ASCII)
_WILD = frozenset({"*", "x", "X"})


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """`numbers` as written, at least one; `pre` is empty for a release, else its kind and its turn.

    Order: by the numbers, missing ones being 0, and a pre-release before its release.
    """

    numbers: tuple[int, ...]
    pre: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> tuple[Self, str] | None:
        """The version at the start of a tag, and what stands behind it (`-alpine`); None where there is none."""
        match = _TAG.fullmatch(text)
        if match is None:
            return None
        numbers = tuple(map(int, match["numbers"].split(".")))
        pre: tuple[int, ...] = ()
        if match["kind"]:
            turns = [int(part) for part in match["turn"].split(".") if part]
            pre = (_KINDS[match["kind"].lower()], *turns)
        return cls(numbers, pre), match["rest"] or ""

    @property
    def is_release(self) -> bool:
        """Whether it is no pre-release."""
        return not self.pre

    def _key(self) -> tuple[tuple[int, ...], bool, tuple[int, ...]]:
        padded = (*self.numbers, *(0,) * (MAX_NUMBERS - len(self.numbers)))
        return padded, self.is_release, self.pre

    def __lt__(self, other: "Version") -> bool:
        return self._key() < other._key()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True, slots=True)
class _Bound:
    operator: str
    version: Version

    def admits(self, version: Version) -> bool:
        match self.operator:
            case ">=":
                return version >= self.version
            case "<=":
                return version <= self.version
            case ">":
                return version > self.version
            case "<":
                # A pre-release of what is excluded is no part of what comes before it.
                return Version(version.numbers) < self.version
            case "!=":
                return version != self.version
            case _:
                return version == self.version


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds that must all hold, or one of several such sets: `>=15 <18`, `^1.2`, `~1.2.3`, `1.x`, `1.2 || 1.4`.

    `1.2 - 1.4` is from the one to the other, every 1.4.something among them.
    """

    text: str
    sets: tuple[tuple[_Bound, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidConfig."""
        return cls(text, tuple(_bounds(part, text) for part in text.split("||")))

    def admits(self, version: Version) -> bool:
        """Whether a version lies in it."""
        return any(all(bound.admits(version) for bound in bounds) for bounds in self.sets)


def _bounds(part: str, whole: str) -> tuple[_Bound, ...]:
    rest = part.replace(",", " ").strip()
    found: list[_Bound] = []
    if (span := _SPAN.fullmatch(rest)) is not None:
        first, last = _full(span["first"], whole), _full(span["last"], whole)
        until = _Bound("<", _next(last.numbers, len(last.numbers))) if len(last.numbers) < 3 else _Bound("<=", last)
        return (_Bound(">=", first), until)
    while rest:
        match = _COMPARATOR.match(rest)
        if match is None:
            raise _invalid(whole)
        found += _comparator(match["operator"] or "", match["version"], whole)
        rest = rest[match.end() :].lstrip()
    if not found and part.strip() not in _WILD:
        raise _invalid(whole)
    return tuple(found)


def _comparator(operator: str, text: str, whole: str) -> Sequence[_Bound]:
    parts = text.removeprefix("v").removeprefix("V").split(".")
    wild = next((place for place, part in enumerate(parts) if part in _WILD), None)
    if wild is not None:
        if operator not in ("", "=", "^", "~") or not all(part in _WILD for part in parts[wild:]):
            raise _invalid(whole)
        return _between(_numbers(parts[:wild], whole), wild) if wild else ()
    parsed = Version.parse(text)
    if parsed is None or parsed[1]:
        raise _invalid(whole)
    version = parsed[0]
    if operator == "^":  # up to the next change of the first number that is not 0 (npm's and Cargo's caret)
        first = next((place for place, number in enumerate(version.numbers) if number), len(version.numbers) - 1)
        return (_Bound(">=", version), _Bound("<", _next(version.numbers, first + 1)))
    if operator == "~":
        return (_Bound(">=", version), _Bound("<", _next(version.numbers, min(2, len(version.numbers)))))
    if not operator and len(version.numbers) < 3 and version.is_release:
        return _between(version.numbers, len(version.numbers))  # `15` means every 15.something
    return (_Bound(operator or "=", version),)


def _full(text: str, whole: str) -> Version:
    """A release in whole: nothing behind it. Raises InvalidConfig."""
    parsed = Version.parse(text)
    if parsed is None or parsed[1] or not parsed[0].is_release:
        raise _invalid(whole)
    return parsed[0]


def _between(numbers: tuple[int, ...], depth: int) -> Sequence[_Bound]:
    return (_Bound(">=", Version(numbers)), _Bound("<", _next(numbers, depth)))


def _next(numbers: tuple[int, ...], depth: int) -> Version:
    """The first version after all that begin with the first `depth` numbers."""
    kept = (*numbers, *(0,) * depth)[:depth]
    return Version((*kept[:-1], kept[-1] + 1))


def _numbers(parts: Sequence[str], whole: str) -> tuple[int, ...]:
    if not all(part.isascii() and part.isdigit() and len(part) <= 12 for part in parts) or len(parts) > MAX_NUMBERS:
        raise _invalid(whole)
    return tuple(map(int, parts))


def _invalid(text: str) -> InvalidConfig:
    return InvalidConfig("no range of versions", wanted="as in >=15 <18, ^1.2, ~1.2.3, 1.x, 1.2 || 1.4", got=text[:120])
