"""Locked: a sync that goes by a lock file, in which stands what repositories and tags there are, and what they name.

Nobody is asked for a catalog, for a list of tags, or for what a tag names: a tag that has moved since is brought as it
was, if its source still has that.
"""

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final

from puller.contracts.content import Body
from puller.contracts.images import ImageSource, ImageTarget, TagKeeper
from puller.mirror.config import Config, Mirror
from puller.mirror.lockfile import Lock
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.ops.lock import Vouched
from puller.ops.syncing.places import Places

_NOTHING: Final = re.compile(r"(?!)")


def locked_config(config: Config, lock: Lock) -> tuple[Config, list[str]]:
    """What of a configuration is locked; and warnings of tags it names that are not.

    Which tags are the newest, and how old they may be, was decided when they were locked, so that it does not count.
    Where something is not locked nothing is pruned, lest it go for having been forgotten.
    """
    warnings = [
        f"{name}: not in the lock file, and left out" for mirror in config.mirrors for name in _forgotten(mirror, lock)
    ]
    mirrors = (_locked(mirror, lock) for mirror in config.mirrors)
    if warnings:
        warnings.append("nothing is pruned, for not all that is named is locked")
        mirrors = (replace(mirror, prune=None) for mirror in mirrors)
    return replace(config, mirrors=tuple(mirrors)), warnings


def _locked(mirror: Mirror, lock: Lock) -> Mirror:
    rule = mirror.tags
    missing = _missing(mirror, lock)
    exact = tuple(tag for tag in rule.exact if tag not in missing)
    allow = rule.allow
    if rule.exact and not exact and not rule.lists:
        allow = (_NOTHING,)  # an empty rule would take all
    return replace(mirror, tags=replace(rule, exact=exact, allow=allow, newest=None, newest_by="version", max_age=None))


def _missing(mirror: Mirror, lock: Lock) -> Sequence[str]:
    """Tags that are named, and not locked; what a pattern of repositories names is looked up when that is known."""
    if "*" in mirror.source.name:
        return ()
    repository = Reference.parse(mirror.source.name)
    return [tag for tag in mirror.tags.exact if ":" not in tag and repository.with_tag(tag) not in lock.images]


def _forgotten(mirror: Mirror, lock: Lock) -> list[str]:
    return [f"{mirror.source.name}:{tag}" for tag in _missing(mirror, lock)]


class LockedPlaces:
    """Places whose sources have the repositories and tags of a lock, and no others."""

    def __init__(self, places: Places, lock: Lock) -> None:
        self._places = places
        self._images = lock.images
        self._digests = frozenset(str(descriptor.digest) for descriptor in lock.images.values())

    async def source(self, place: str) -> ImageSource:
        """See Places. A place that is no repository of a registry is given as it is."""
        source = await self._places.source(place)
        if place.startswith(("oci:", "store:", "oci-archive:", "docker-archive:")):
            return source
        return LockedSource(source, self._images, self._digests, Reference.parse(place))

    async def target(self, place: str) -> ImageTarget:
        """See Places."""
        return await self._places.target(place)

    async def keeper(self, place: str) -> TagKeeper:
        """See Places."""
        return await self._places.keeper(place)

    async def catalog(self, registry: str) -> AsyncIterator[str]:
        """The repositories of which something is locked."""
        for repository in dict.fromkeys(name.repository for name in self._images if name.registry == registry):
            yield repository


class LockedSource(Vouched):
    """One repository, as far as it is locked: an ImageSource."""

    def __init__(
        self,
        source: ImageSource,
        images: Mapping[Reference, Descriptor],
        digests: Collection[str],
        repository: Reference,
    ) -> None:
        super().__init__(source, images)
        self._inner = source
        self._digests = digests
        self._repository = repository

    @property
    def place(self) -> str:
        """See ImageSource."""
        return self._inner.place

    def spares(self, digest: str) -> bool:
        """Whether this image is locked, under whatever name: a lock file may be damaged (THREATS H6)."""
        return digest in self._digests

    async def holds(self, descriptor: Descriptor) -> bool:
        """See ImageSource."""
        return await self._inner.holds(descriptor)

    async def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """See ImageSource: what refers to an image is not locked."""
        return await self._inner.referrers(subject)

    async def tags(self) -> AsyncIterator[str]:
        """The tags that are locked."""
        for name in self._images:
            if name.name == self._repository.name and name.tag is not None:
                yield name.tag

    def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AbstractAsyncContextManager[Body]:
        """See Fetcher."""
        return self._inner.fetch(wanted, offset=offset)
