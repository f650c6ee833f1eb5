"""Constraint: ranges of versions as github.com/Masterminds/semver v3 (constraints.go) reads them, as ours.

They are skopeo's. A version of one number or two stands for all that begin with it, for `>`, `<=` and `!=` too. Tags
with anything behind their numbers count as pre-releases there, and are left out unless a range names one.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import prod

from puller.errors import InvalidConfig
from puller.mirror.version import Range

# What counts as a release there; it has three numbers at most.
RELEASE = re.compile(r"v?[0-9]+(?:\.[0-9]+){0,2}", re.ASCII)
_PART = r"(?:[0-9]{1,12}|[xX*])"
_VERSION = rf"v?{_PART}(?:\.{_PART}){{0,2}}(?![0-9A-Za-z.+*-])"
_SPAN = re.compile(rf"(?P<first>{_VERSION})\s+-\s+(?P<last>{_VERSION})", re.ASCII)
_ONE = re.compile(rf"\s*(?P<operator>=>|=<|>=|<=|!=|~>|[=><~^])?\s*(?P<version>{_VERSION})(?:\s*,|\s+|$)", re.ASCII)
_SAME = {"": "=", "=>": ">=", "=<": "<=", "~>": "~"}
MAX_ALTERNATIVES = 100


def parse(text: str) -> Range:
    """A range that admits the same releases. Raises InvalidConfig, also for what would admit pre-releases."""
    parts = _SPAN.sub(r">=\g<first>, <=\g<last>", text).split("||")
    alternatives = [alternative for part in parts for alternative in _alternatives(part, text)]
    return replace(Range.parse(" || ".join(alternatives)), text=text)


def _alternatives(part: str, text: str) -> list[str]:
    """Sets of bounds in our way, one of which must hold."""
    found: list[Sequence[str]] = []
    place, only_exceptions = 0, True
    while place < len(part):
        match = _ONE.match(part, place)
        if match is None:
            raise _invalid(text)
        operator = match["operator"] or ""
        numbers = _numbers(match["version"], text)
        only_exceptions = only_exceptions and operator == "!=" and len(numbers) == 3
        found.append(_bounds(_SAME.get(operator, operator), numbers, text))
        place = match.end()
    if not found or only_exceptions or prod(map(len, found)) > MAX_ALTERNATIVES:
        raise _invalid(text)
    return [" ".join(bounds).strip() or "*" for bounds in product(*found)]


def _bounds(operator: str, numbers: tuple[int, ...], text: str) -> Sequence[str]:
    """One comparison in our way; `!=` of all that begin alike has two sides."""
    is_whole, depth = len(numbers) == 3, len(numbers)
    if not numbers:
        if operator not in ("=", ">=", "~"):
            raise _invalid(text)
        return [""]
    match operator:
        case "^":  # up to the next change of the first number that is not 0
            changes = next((place for place, number in enumerate(numbers) if number), depth - 1) + 1
            return [_between(numbers, changes)]
        case "~":  # 0.0.0 stands for all of them there
            return [">=0.0.0" if numbers == (0, 0, 0) else _between(numbers, min(depth, 2))]
        case "=" if not is_whole:
            return [_between(numbers, depth)]
        case "!=" if not is_whole:
            return [f"<{_text(numbers)}", f">={_next(numbers, depth)}"]
        case ">" if not is_whole:
            return [f">={_next(numbers, depth)}"]
        case "<=" if not is_whole:
            return [f"<{_next(numbers, depth)}"]
        case _:
            return [f"{operator}{_text(numbers)}"]


def _between(numbers: tuple[int, ...], depth: int) -> str:
    return f">={_text(numbers)} <{_next(numbers, depth)}"


def _next(numbers: tuple[int, ...], depth: int) -> str:
    return _text((*numbers[: depth - 1], numbers[depth - 1] + 1))


def _text(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, (*numbers, 0, 0)[:3]))


def _numbers(version: str, text: str) -> tuple[int, ...]:
    """Its numbers before the first that stands for any."""
    parts = version.removeprefix("v").split(".")
    known = next((place for place, part in enumerate(parts) if not part.isdigit()), len(parts))
    if any(part.isdigit() for part in parts[known:]):
        raise _invalid(text)
    return tuple(map(int, parts[:known]))


def _invalid(text: str) -> InvalidConfig:
    wanted = "as in >=1.2, ^1.2, ~1.2.3, 1.x, 1.2 - 1.4, 1.2 || 1.4, and no pre-release"
    return InvalidConfig("no range of versions that can be taken over", wanted=wanted, got=text[:120])
