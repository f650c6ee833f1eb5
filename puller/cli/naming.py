"""Naming: what the names in a command stand for: the one place where names without a registry get theirs.

Words that are looked for in the store may stand for several names, and the first that is there is meant; words for
registries are asked for in turn; a name that is given to something has to be one.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import TypeVar

from puller.cli.environment import settings_places
from puller.errors import NotFound, PullerError, Unauthorized
from puller.model.reference import Reference
from puller.model.text import printable
from puller.ops.graphs.spelling import Spelling
from puller.settings.shortnames import ShortNames, load_short_names

T = TypeVar("T")


def short_names() -> ShortNames:
    """What is set up on this machine and by this user. Raises InvalidConfig."""
    return load_short_names(settings_places())


def spelling() -> Spelling:
    """What words may stand for in the store; settings are read when the first one is looked for."""
    names = cache(short_names)
    return lambda text: names().here(text)


async def meant(candidates: Sequence[Reference], ask: Callable[[Reference], Awaitable[T]]) -> tuple[Reference, T]:
    """The first of `candidates` that there is, with what `ask` says of it.

    Only where a registry says that it has no such thing, or none for us, is the next one asked: else whoever can cut a
    line chooses whose image it is. Raises what the last one raises.
    """
    said: list[str] = []
    for place, reference in enumerate(candidates, 1):
        try:
            return reference, await ask(reference)
        except (NotFound, Unauthorized) as error:
            if place == len(candidates):
                for note in said:
                    error.add_note(note)
                raise
            said.append(f"{reference}: {error.what}")
        except PullerError as error:
            left = ", ".join(printable(str(one.registry), limit=160) for one in candidates[place:])
            if left:
                error.add_note(f"not asked, as {reference.registry} did not say that it has no such image: {left}")
            raise
    raise NotFound("nothing was asked for")
