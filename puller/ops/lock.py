"""lock: write down which digests names have now; say which have moved since; pull exactly what was written down."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from puller.contracts.content import Body, Resolver, Source, disowned, labelled
from puller.errors import InvalidReference, NotFound, PullerError
from puller.mirror.lockfile import Lock
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.ops.tasks import abreast

WIDTH = 16
T = TypeVar("T")
Open: TypeAlias = Callable[[Reference], Resolver]
Resolve: TypeAlias = Callable[[T], Awaitable[tuple[Reference, Descriptor]]]


@dataclass(slots=True)
class Locking:
    """What came of resolving many names: those that were, and why others were not, by what they are called."""

    images: dict[Reference, Descriptor] = field(default_factory=dict)
    problems: list[tuple[str, PullerError]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Moved:
    """A name that does not stand for what it was locked to any more; `now` None: it is gone."""

    name: Reference
    locked: Digest
    now: Digest | None


async def lock_names(names: Iterable[T], resolve: Resolve[T], *, width: int = WIDTH) -> Locking:
    """Resolve each once; `resolve` gives the name that is meant, and what it stands for. A tag costs one HEAD.

    What fails is in `problems`, and stops no other.
    """
    made = Locking()

    async def one(name: T) -> None:
        try:
            meant, descriptor = await resolve(name)
            made.images[lockable(meant)] = descriptor
        except PullerError as error:
            made.problems.append((str(name), error))

    await abreast(dict.fromkeys(names), one, width=width)
    return made


def lockable(reference: Reference) -> Reference:
    """The name under which it is locked: a tag beside a digest was neither asked for nor checked (THREATS C2)."""
    return reference.tagged() if reference.digest is None else replace(reference, tag=None)


async def moved_since(lock: Lock, source: Open, *, width: int = WIDTH) -> tuple[list[Moved], Locking]:
    """Which of the locked tags name something else now, in the order of their names; and what could not be asked.

    Names with a digest cannot move, and are not asked for.
    """
    moved: list[Moved] = []
    asked = Locking()

    async def ask(name: Reference) -> None:
        locked = lock.images[name].digest
        try:
            now: Digest | None = (await source(name).resolve(name)).digest
        except NotFound as error:
            if error.phase == "authentication":
                asked.problems.append((str(name), error.at(reference=name)))
                return
            now = None
        except PullerError as error:
            asked.problems.append((str(name), error.at(reference=name)))
            return
        if now != locked:
            moved.append(Moved(name, locked, now))

    await abreast([name for name in lock.images if name.digest is None], ask, width=width)
    return sorted(moved, key=lambda one: one.name), asked


def locked_name(candidates: Iterable[Reference], lock: Lock, *, file: str) -> Reference:
    """The name in the lock that a word stands for: the first of `candidates` that is there.

    Raises InvalidReference where none is, and where the word has another digest than the lock.
    """
    tried = [name.tagged() for name in candidates]
    for name in tried:
        if name.digest is not None and (pinned := lockable(name)) in lock.images:
            return pinned
        plain = replace(name, digest=None)
        if name.tag is None or plain not in lock.images:
            continue
        locked = lock.images[plain].digest
        if name.digest not in (None, locked):
            what = "the lock file has another digest for this name"
            raise InvalidReference(what, where=file, wanted=locked, got=name.digest, reference=plain)
        return plain
    hint = "Lock it first: puller lock REF…"
    raise InvalidReference("the lock file has no such name", where=file, got=" or ".join(map(str, tried)), hint=hint)


class Vouched:
    """A Source whose tags stand for what a lock says: the registry is asked for content alone, by digest."""

    def __init__(self, source: Source, images: Mapping[Reference, Descriptor]) -> None:
        self._source = source
        self._images = images

    async def resolve(self, reference: Reference) -> Descriptor:
        """What the lock says. Raises InvalidReference for a tag that is not in it."""
        if reference.digest is not None:
            return await self._source.resolve(reference)
        found = self._images.get(reference.tagged())
        if found is None:
            raise InvalidReference("the lock file has no such name", got=reference.tagged())
        return found

    def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AbstractAsyncContextManager[Body]:
        """See Fetcher."""
        return self._source.fetch(wanted, offset=offset)

    def labelled(self, label: str) -> AbstractAsyncContextManager[Body]:
        """See LabelFetcher."""
        return labelled(self._source, label)

    def disown(self, digest: Digest) -> bool:
        """See Alternatives."""
        return disowned(self._source, digest)
