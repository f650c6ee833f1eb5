"""undo: brings back what a run has taken away, as far as it is still to be had."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

import anyio

from puller.contracts.images import Claims, ImageTarget
from puller.errors import ContentMissing, ContentUnknown, InvalidManifest, NotFound, PullerError
from puller.mirror.known import Known, Tombstone
from puller.mirror.state import State
from puller.model.digest import Digest
from puller.model.document import load_document
from puller.model.event import Report, unheard
from puller.model.manifest import Manifest, parse_manifest
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.model.sync import Manner
from puller.ops.copying.image import copy_image
from puller.ops.syncing.places import Places
from puller.ops.syncing.remains import Remains
from puller.ops.tasks import abreast
from puller.registry.untagging import marker

WIDTH: Final = 8

# back: it was brought back. there: it was back already. moved: the tag names something else by now, and is not touched.
# lost: some of its content is nowhere to be had any more. failed: it could not be done now.
Outcome: TypeAlias = Literal["back", "there", "moved", "lost", "failed"]


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of one tag that a run had `pruned` or `overwritten`. `fetched`: bytes that its source gave again."""

    target: str
    name: str
    root: str
    kind: str
    outcome: Outcome
    why: str = ""
    fetched: int = 0
    error: dict[str, object] | None = None

    @property
    def is_back(self) -> bool:
        """Whether the tag names what it named before that run."""
        return self.outcome in ("back", "there")

    def encode(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


async def undo(
    tombstones: Sequence[Tombstone],
    *,
    places: Places,
    state: State,
    claims: Claims,
    limiter: anyio.CapacityLimiter,
    report: Report = unheard,
) -> list[Undone]:
    """Put back what each tombstone keeps, if its tag names nothing else by now; what fails stops nothing else.

    No later run prunes what is back: it is not of a sync's bringing any more. Nor does one move a tag again to what
    this has taken from it, as long as its source names that. Raises StoreError of the state.
    """
    undoing = _Undoing(places, state, claims, limiter, report)
    done: list[Undone | None] = [None] * len(tombstones)

    async def one(place: int) -> None:
        done[place] = await undoing.undo(tombstones[place])

    await abreast(range(len(tombstones)), one, width=WIDTH)
    return [undone for undone in done if undone is not None]


class _Undoing:
    def __init__(
        self, places: Places, state: State, claims: Claims, limiter: anyio.CapacityLimiter, report: Report
    ) -> None:
        self._places = places
        self._state = state
        self._claims = claims
        self._limiter = limiter
        self._report = report
        self._moves: dict[str, dict[str, list[Tombstone]]] = {}

    async def undo(self, tombstone: Tombstone) -> Undone:
        try:
            return await self._undo(tombstone)
        except (NotFound, ContentMissing, ContentUnknown) as error:
            return _told(tombstone, "lost", _lost(error), error=error)
        except PullerError as error:
            return _told(tombstone, "failed", error.what, error=error)

    async def _undo(self, tombstone: Tombstone) -> Undone:
        target = await self._places.target(tombstone.target)
        found = await target.named(tombstone.name)
        if found == marker(tombstone.name)[0].digest:
            found = None  # a run that was taking it away was cut off
        known = self._state.known(tombstone.target, tombstone.name)
        if found is not None and str(found) == tombstone.root:
            self._state.exhume(tombstone)
            return _told(tombstone, "there")
        if found is not None and (why := self._taken(tombstone, found, known)):
            return _told(tombstone, "moved", why)
        fetched = await self._put(tombstone, target)
        if tombstone.kind == "overwritten" and known is not None:
            self._state.hold(tombstone.target, tombstone.name, known.digest)
        self._state.forget(tombstone.target, tombstone.name)
        self._state.exhume(tombstone)
        return _told(tombstone, "back", fetched=fetched)

    def _taken(self, tombstone: Tombstone, found: Digest, known: Known | None) -> str:
        """Why what the tag names now is not to be touched; empty where that is what the run itself has put there."""
        if tombstone.kind == "overwritten" and known is not None and known.root == str(found):
            moves = self._moves_at(tombstone.target).get(tombstone.name, ())
            later = [one.run for one in moves if one.at > tombstone.at]
            return f"run {later[0]} moved it again: undo that one first" if later else ""
        return f"it names {found} by now, which that run did not put there"

    def _moves_at(self, target: str) -> dict[str, list[Tombstone]]:
        """What runs have moved at a place, by tag, as it was when this began."""
        if target not in self._moves:
            found = self._moves[target] = {}
            for one in self._state.buried_at(target):
                if one.kind == "overwritten":
                    found.setdefault(one.name, []).append(one)
        return self._moves[target]

    async def _put(self, tombstone: Tombstone, target: ImageTarget) -> int:
        """Put the manifest under its tag, when all that it needs is there again; bytes that came from its source."""
        remains = Remains(tombstone, target, self._places)
        if not tombstone.source and not await self._is_whole(tombstone, target):
            what = "some of its content is gone, and it is not known where it came from"
            raise ContentMissing(what, where=tombstone.target, digest=tombstone.root)
        if not tombstone.source or tombstone.media_type in SCHEMA1_MANIFESTS:
            await target.put_manifest(tombstone.raw, remains.root, tombstone.name)
            return 0
        await copy_image(
            remains,
            target,
            remains.root,
            (tombstone.name,),
            _manner(tombstone),
            claims=self._claims,
            limiter=self._limiter,
            report=self._report,
        )
        return remains.fetched

    async def _is_whole(self, tombstone: Tombstone, target: ImageTarget) -> bool:
        """Whether all blobs of an image are there. Of an index that cannot be said: some may have been left out."""
        if tombstone.media_type in SCHEMA1_MANIFESTS:
            return True
        document = parse_manifest(tombstone.raw, tombstone.media_type)
        if not isinstance(document, Manifest):
            return True
        return all([await target.exists(child) for child in document.children])


def _manner(tombstone: Tombstone) -> Manner:
    """How to bring it byte for byte: only the platforms that were brought, where the index stayed as it was."""
    try:
        manner = load_document(tombstone.manner.encode(), what="manner")
        platforms = manner["platforms"] if manner["index"] == "sparse" else []
        return Manner(tuple(map(str, platforms)))
    except (InvalidManifest, KeyError, TypeError):
        return Manner()


def _lost(error: PullerError) -> str:
    digest = f"{error.digest}: " if error.digest else ""
    return f"it cannot be had any more: {digest}{error.what}"


def _told(
    tombstone: Tombstone, outcome: Outcome, why: str = "", *, fetched: int = 0, error: PullerError | None = None
) -> Undone:
    facts = None if error is None else error.at(reference=f"{tombstone.target}:{tombstone.name}").facts()
    return Undone(tombstone.target, tombstone.name, tombstone.root, tombstone.kind, outcome, why, fetched, facts)
