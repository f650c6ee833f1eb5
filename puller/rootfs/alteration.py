"""Alteration: one thing a tree does not hold as its layer says, and why. Kept beside the tree, it loses nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

What: TypeAlias = Literal["owner", "mode", "mtime", "xattr", "device", "entry"]


@dataclass(frozen=True, slots=True)
class Alteration:
    """`path` has not the value for `what` that its layer gives it; `value` is the layer's, as text.

    owner `UID:GID` · mode `0oMODE` · mtime in nanoseconds · xattr `NAME=HEX` · device `c MAJOR:MINOR` · entry: left
    out, its tar type. An owner of 0:0 is not told: a path nobody speaks of belongs to root.
    """

    path: bytes
    what: What
    value: str
    reason: str


Report: TypeAlias = Callable[[Alteration], None]


def unreported(alteration: Alteration, /) -> None:
    """A listener that does not listen."""
