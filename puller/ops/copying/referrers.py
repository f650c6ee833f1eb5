"""Referrers: what refers to an image, brought with it: what places list, and cosign's tags made of a digest.

All of it is a hint (THREATS C20): anybody who may push there can have anything listed. So it is verified like all
content, it is bounded, and what a list holds that is not what it says keeps no image from being brought.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from puller.errors import (
    ContentMissing,
    InputError,
    LimitExceeded,
    MediaTypeMismatch,
    NotFound,
    ProtocolViolation,
    RegistryError,
    StoreError,
)
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.reference import is_tag
from puller.model.referrer import COSIGN
from puller.ops.copying.bringing import Bringing
from puller.ops.copying.gathering import ABREAST, Gathering
from puller.ops.copying.place import repository_of
from puller.ops.copying.reading import Bounds
from puller.ops.tasks import abreast

MAX_REFERRERS: Final = 1_000  # documents, of one image
MAX_DEPTH: Final = 8  # what refers to what refers to …
LISTED_FROM: Final = 24  # tags to be asked for; one that is not there takes two requests
MAX_TAGS: Final = 10_000
# What makes a list, or what it leads to, of no use; all else ends the copy.
_USELESS = (InputError, MediaTypeMismatch, LimitExceeded, ProtocolViolation, NotFound, ContentMissing)


class Referring:
    """Of one image. `warn` hears of what was listed and not brought."""

    def __init__(
        self,
        gathering: Gathering,
        bringing: Bringing,
        warn: Callable[[str], None],
        bounds: Bounds | None = None,
    ) -> None:
        self._gathering = gathering
        self._bringing = bringing
        self._warn = warn
        self._bounds = bounds or Bounds(documents=MAX_REFERRERS)
        self._seen: set[Digest] = set()

    async def bring(self, subjects: Sequence[Digest]) -> None:
        """The tags made of these digests; all that refers to them, and to that in turn."""
        self._seen.update(subjects)
        await self._bring_tags(subjects)
        for _ in range(MAX_DEPTH):
            subjects = await self._bring_listed(subjects)
            if not subjects:
                return
        if any([await self._listed(subject) for subject in subjects]):
            self._warn(f"referrers of referrers were not brought beyond {MAX_DEPTH} deep")

    async def _bring_listed(self, subjects: Sequence[Digest]) -> list[Digest]:
        """What is listed for `subjects`; all that was brought so."""
        lists: dict[Digest, Sequence[Descriptor]] = {}

        async def ask(subject: Digest) -> None:
            lists[subject] = await self._listed(subject)

        await abreast(subjects, ask, width=ABREAST)
        listed = {
            entry.digest: (subject, entry) for subject in reversed(subjects) for entry in reversed(lists[subject])
        }
        brought: list[Digest] = []

        async def bring(found: tuple[Digest, Descriptor]) -> None:
            brought.extend(await self._referrer(*found))

        await abreast([listed[digest] for digest in reversed(listed) if digest not in self._seen], bring, width=ABREAST)
        self._seen.update(listed, brought)
        return brought

    async def _listed(self, subject: Digest) -> Sequence[Descriptor]:
        try:
            return await self._gathering.source.referrers(subject)
        except _USELESS as error:
            self._warn(f"what refers to {subject} was not brought: {error}")
            return ()

    async def _referrer(self, subject: Digest, listed: Descriptor) -> list[Digest]:
        """Bring one of a list if it is what the list says; its documents. Of its size the list's word is not taken."""
        if self._bounds.is_full:
            self._warn(f"not all that refers to {subject} was brought: more than {self._bounds.documents} manifests")
            return []
        try:
            gathered = await self._gathering.gather(Descriptor(listed.media_type, listed.digest), bounds=self._bounds)
            if gathered.root.subject != subject:
                self._warn(
                    f"{listed.digest} is listed among what refers to {subject}, and does not: it was not brought"
                )
                return []
            await self._bringing.bring(gathered)
            await self._bringing.put(gathered)
        except _USELESS as error:
            self._warn(f"{listed.digest}, listed among what refers to {subject}, was not brought: {error}")
            return []
        return [document.digest for document in gathered.documents]

    async def _bring_tags(self, subjects: Sequence[Digest]) -> None:
        tags = [f"{subject.algorithm}-{subject.hex}.{suffix}" for subject in subjects for suffix in COSIGN]
        found: dict[str, Descriptor] = {}

        async def ask(tag: str) -> None:
            with suppress(NotFound, ContentMissing):
                found[tag] = await self._gathering.source.resolve(repository.with_tag(tag))

        repository = repository_of(self._gathering.source.place)
        await abreast(await self._likely([tag for tag in tags if is_tag(tag)]), ask, width=ABREAST)
        for tag in filter(found.__contains__, tags):
            await self._bring_tag(tag, found[tag])

    async def _likely(self, tags: Sequence[str]) -> Sequence[str]:
        """Those of `tags` that are listed, where a list costs less than to ask for each."""
        if len(tags) < LISTED_FROM:
            return tags
        listed: set[str] = set()
        try:
            async for tag in self._gathering.source.tags():
                listed.add(tag)
                if len(listed) > MAX_TAGS:
                    return tags
        except (RegistryError, StoreError):  # who may pull may not list everywhere
            return tags
        return [tag for tag in tags if tag in listed]

    async def _bring_tag(self, tag: str, descriptor: Descriptor) -> None:
        if await self._gathering.target.named(tag) == descriptor.digest:
            return
        try:
            gathered = await self._gathering.gather(descriptor, bounds=self._bounds)
            await self._bringing.bring(gathered)
        except _USELESS as error:
            self._warn(f"the tag {tag} was not brought: {error}")
            return
        await self._bringing.name(gathered, [tag])
