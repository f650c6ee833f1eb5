"""Locking: which digests the tags have that a configuration selects."""

from datetime import datetime

from puller.contracts.images import ImageSource
from puller.errors import PullerError
from puller.mirror.config import Config, Mirror
from puller.mirror.known import Known
from puller.mirror.state import State
from puller.model.descriptor import Descriptor
from puller.model.reference import Reference
from puller.ops.lock import WIDTH, Locking
from puller.ops.syncing.looking import look
from puller.ops.syncing.pairs import Expansion, Pair, among
from puller.ops.syncing.places import Places
from puller.ops.tasks import abreast


async def lock_config(config: Config, places: Places, state: State, *, now: datetime) -> Locking:
    """Resolve every tag that `config` selects: one HEAD each, besides the lists, and the dates where these count.

    Digests that it names are what they are, and are not among them. Targets are not looked at.
    """
    made = Locking()

    def trouble(mirror: Mirror, error: PullerError) -> None:
        made.problems.append((mirror.source.name, error))

    lanes = await Expansion(places, made.warnings.append, trouble).lanes(config.mirrors, among(None))
    for lane in lanes:
        for pair in lane.pairs:
            await _pair(pair, places, state, made, now)
    return made


async def _pair(pair: Pair, places: Places, state: State, made: Locking, now: datetime) -> None:
    try:
        source = await places.source(pair.source)
        naming = _Naming(source, pair.reference)
        seen = await look(pair, source, naming, state, now=now, width=WIDTH)
    except PullerError as error:
        made.problems.append((pair.source, error))
        return
    made.warnings += [*seen.warnings, *(f"{pair.source}: {text}" for text in sorted(seen.unmatched))]

    async def settle(tag: str) -> None:
        name = pair.reference.with_tag(tag)
        found = seen.resolved.get(tag)
        try:
            if isinstance(found, PullerError):
                raise found
            made.images[name] = found or await naming.resolve(tag)
        except PullerError as error:
            made.problems.append((str(name), error))

    chosen = [verdict.tag for verdict in seen.verdicts if verdict.chosen and ":" not in verdict.tag]
    await abreast(chosen, settle, width=WIDTH)


class _Naming:
    """What tags name at their source, whatever a run remembers of them."""

    def __init__(self, source: ImageSource, repository: Reference) -> None:
        self._source = source
        self._repository = repository

    def settled(self, tag: str) -> Known | None:
        """Nothing is taken for known."""
        return None

    async def resolve(self, tag: str) -> Descriptor:
        """What a tag names at the source."""
        return await self._source.resolve(self._repository.with_tag(tag))
