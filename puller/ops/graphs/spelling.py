"""Spelling: which full names a name that somebody typed may stand for, in the order in which they are looked for."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from puller.model.reference import Reference

# Raises InvalidReference for what is no name. Always one at least.
Spelling: TypeAlias = Callable[[str], Sequence[Reference]]


def as_typed(text: str) -> Sequence[Reference]:
    """One name, by docker's rules alone."""
    return (Reference.parse(text),)
