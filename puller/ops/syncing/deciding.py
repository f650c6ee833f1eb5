"""Deciding: what is to become of one tag, and why, with as few requests as tell that."""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from puller.contracts.images import ImageSource, ImageTarget
from puller.errors import NotFound, PullerError
from puller.mirror.known import Known, manner_text
from puller.mirror.selection import Verdict
from puller.mirror.state import State
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.sync import Item, Manner, Transfer
from puller.ops.syncing.pairs import Pair
from puller.ops.syncing.rollcall import UNTOLD

# What refers to an image comes after it: signatures, mostly. What tells of them costs the image's manifests.
REFERRERS_AGAIN = 86400.0  # seconds


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a tag. `adopted`: it was there unchanged as this, and nothing was remembered of it."""

    item: Item
    adopted: Descriptor | None = None


@dataclass(frozen=True, slots=True)
class _There:
    """What the target has under a name: `root`, None for nothing."""

    root: str | None


@runtime_checkable
class Weighing(Protocol):
    """A target on this machine, which can tell without a request how much it has of an image."""

    async def has_all(self, descriptor: Descriptor) -> bool:
        """Whether it is there whole: of an index all images, also those that were left out by choice."""
        ...


class Decider:
    """Of one pair. A tag costs one HEAD at its source, none where it is immutable and there; one at the target, none
    where the `roll` tells enough and nothing has changed.

    Where referrers are brought, an image whose tag is not immutable is brought again after a day for new ones. `now` is
    in seconds since the epoch.
    """

    def __init__(self, pair: Pair, source: ImageSource, target: ImageTarget, state: State, *, now: float) -> None:
        self._pair = pair
        self._source = source
        self._target = target
        self._state = state
        self._now = now
        self._reference = pair.reference
        self._manner = pair.manner
        self._manner_text = manner_text(pair.manner)
        self.roll = UNTOLD

    def settled(self, tag: str) -> Known | None:
        """What was brought under an immutable tag, where nothing need be asked at the source if that is still there."""
        if not self._pair.is_immutable(tag):
            return None
        known = self._state.known(self._pair.target, self._pair.name_of(tag))
        is_same = known is not None and (known.source, known.tag) == (self._pair.source, tag)
        return known if is_same and self._fits(known) else None

    async def resolve(self, tag: str) -> Descriptor:
        """What a tag, or a digest, names at the source."""
        name = self._reference.with_digest(Digest.parse(tag)) if ":" in tag else self._reference.with_tag(tag)
        return await self._source.resolve(name)

    async def decide(self, verdict: Verdict, resolved: Descriptor | None = None) -> Decision:
        """What is to become of a tag that is wanted. Raises any PullerError.

        `resolved` is what it names at the source, where that was asked for already.
        """
        pair, tag = self._pair, verdict.tag
        name = pair.name_of(tag)
        there: _There | None = None
        settled = self.settled(tag)
        if settled is not None and name in self.roll.tags:
            return Decision(self._unchanged(verdict, settled.digest, settled.root, "immutable, and listed there"))
        if settled is not None:
            there = await self._there(name, settled.root, settled.media_type)
            if there.root == settled.root:
                return Decision(self._unchanged(verdict, settled.digest, settled.root, "immutable, and there"))
        descriptor = resolved or await self.resolve(tag)
        digest = str(descriptor.digest)
        known = self._state.known(pair.target, name)
        is_as_brought = known is not None and known.digest == digest and self._fits(known) and not self._is_stale(known)
        if known is not None and is_as_brought and name in self.roll.tags:
            return Decision(self._unchanged(verdict, digest, known.root, "as it was brought, and listed there"))
        there = there or await self._there(name, digest, descriptor.media_type)
        if self._state.held(pair.target, name) == digest:
            return Decision(
                self._unchanged(verdict, digest, there.root, "undone, and not brought again until it moves")
            )
        if known is None and self._is_plain and there.root == digest and await self._is_whole(descriptor):
            return Decision(self._unchanged(verdict, digest, digest, "there already"), descriptor)
        if known is not None and is_as_brought and there.root == known.root:
            return Decision(self._unchanged(verdict, digest, known.root, "as it was brought"))
        return Decision(self._to_bring(verdict, descriptor, there.root, known))

    @property
    def _is_plain(self) -> bool:
        """Whether an image that is there under its own digest is all that was asked for."""
        return self._manner == Manner()

    async def _is_whole(self, descriptor: Descriptor) -> bool:
        """Whether the target has all of an image that it has. A registry is believed: one HEAD cannot tell."""
        return not isinstance(self._target, Weighing) or await self._target.has_all(descriptor)

    def _is_stale(self, known: Known) -> bool:
        """Whether something may refer to it by now that did not."""
        is_old = not known.at <= self._now < known.at + REFERRERS_AGAIN
        return self._manner.referrers and is_old and not self._pair.is_immutable(known.tag)

    def _fits(self, known: Known | None) -> bool:
        return known is not None and known.manner == self._manner_text

    async def _there(self, name: str, root: str, media_type: str) -> _There:
        """What the target has under a name; under a digest, whether that is there at all."""
        if ":" not in name:
            if self.roll.is_absent:
                return _There(None)
            found = await self._target.named(name)
            return _There(None if found is None else str(found))
        try:
            is_there = await self._target.exists(Descriptor(media_type, Digest.parse(root)))
        except NotFound:  # the repository itself
            is_there = False
        return _There(root if is_there else None)

    def _unchanged(self, verdict: Verdict, digest: str, root: str | None, why: str) -> Item:
        return replace(blank(self._pair, verdict), action="unchanged", why=why, digest=digest, there=root)

    def _to_bring(self, verdict: Verdict, descriptor: Descriptor, there: str | None, known: Known | None) -> Item:
        pair = self._pair
        digest, name = str(descriptor.digest), pair.name_of(verdict.tag)
        is_named = ":" not in name
        may_replace = there is not None or self.roll.is_absent  # a list may be wrong, or the tag come meanwhile
        backup = pair.mirror.backup if may_replace and is_named else None
        transfer = Transfer(
            pair.source,
            digest,
            descriptor.media_type,
            descriptor.size,
            pair.target,
            name if is_named else None,
            self._manner,
            there if is_named else None,
            None if backup is None else backup.replace("{tag}", name),
        )
        return replace(
            blank(pair, verdict),
            action="new" if there is None else "changed",
            why=self._why(digest, there, known, verdict),
            digest=digest,
            there=there,
            transfer=transfer,
        )

    def _why(self, digest: str, there: str | None, known: Known | None, verdict: Verdict) -> str:
        if there is None:
            gone = "gone from the target" if known is not None else "not there"
            return f"{gone}: {verdict.why}"
        if known is None:
            if there == digest:
                return "there, and nobody knows how much of it"
            return f"another digest there, {_short(there)}, and nothing remembered of it"
        if there != known.root:
            return f"somebody else moved it there, to {_short(there)}"
        if known.digest != digest:
            return f"moved from {_short(known.digest)} to {_short(digest)}"
        if self._fits(known):
            return "looked at again for what refers to it, after a day"
        return "to be brought in another manner than before"


def blank(pair: Pair, verdict: Verdict) -> Item:
    """The item of a tag about which nothing is known but the verdict."""
    name, line = pair.name_of(verdict.tag), pair.mirror.line
    return Item(pair.source, verdict.tag, pair.target, name, "out", verdict.why, line=line)


def failed(pair: Pair, verdict: Verdict, error: PullerError) -> Item:
    """The item of a tag about which nothing could be found out."""
    return replace(blank(pair, verdict), action="failed", why=error.what, error=error.facts())


def _short(digest: str) -> str:
    return digest.partition(":")[2][:12]
