"""Alteration: one thing a tree does not hold as its layer says, and why; Altered sums them up.

Kept in a file beside the tree (docs/layers.md, "Sidecar"), nothing of it is lost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

What: TypeAlias = Literal["owner", "mode", "mtime", "xattr", "device", "entry"]
MOST_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class Alteration:
    """`path` has not the value for `what` that its layer gives it; `value` is the layer's, as text.

    owner `UID:GID` · mode `0oMODE` · mtime in nanoseconds · xattr `NAME=HEX`, what is no UTF-8 in NAME as lone
    surrogates (PEP 383), `NAME` alone where it has none · device `c MAJOR:MINOR`, empty where it is none · entry: left
    out, its tar type. An owner of 0:0 is told only over another one: a path nobody speaks of belongs to root.
    """

    path: bytes
    what: What
    value: str
    reason: str


Report: TypeAlias = Callable[[Alteration], None]


def unreported(alteration: Alteration, /) -> None:
    """A listener that does not listen."""


@dataclass(frozen=True, slots=True)
class Altered:
    """All alterations of one layer for one reason: how many, and at most three paths, in text that is safe to show."""

    what: str
    reason: str
    count: int
    examples: tuple[str, ...]
