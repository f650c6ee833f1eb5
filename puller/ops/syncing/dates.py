"""Dates: when images were created, by their configs; each asked for once, and remembered by digest."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from puller.contracts.images import ImageSource
from puller.errors import PullerError, StoreError
from puller.mirror.state import State
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import ATTESTATION, Index, parse_manifest
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.model.platform import Platform
from puller.ops.copying.reading import read_document
from puller.ops.tasks import abreast

MAX_DEPTH = 3  # of an index within an index


async def dates_of(
    roots: Sequence[Descriptor],
    source: ImageSource,
    platforms: Sequence[Platform],
    state: State,
    *,
    width: int,
    failed: Callable[[Descriptor, PullerError], None],
) -> dict[Digest, datetime | None]:
    """When each was created; None where its config does not say, or could not be had: then `failed` is told.

    An index is as old as its image for the first of `platforms`, else its first one.
    """
    found: dict[Digest, datetime | None] = {}

    async def ask(root: Descriptor) -> None:
        known = state.created(root.digest)
        if known is None:
            try:
                known = await _created(root, source, platforms)
            except PullerError as error:
                failed(root, error)
            else:
                if known is not None:
                    with suppress(StoreError):  # a state that is only read, or full: it is asked for again then
                        state.note_created(root.digest, known)
        found[root.digest] = known

    unique = {root.digest: root for root in roots}
    await abreast(unique.values(), ask, width=width)
    return found


async def _created(root: Descriptor, source: ImageSource, platforms: Sequence[Platform]) -> datetime | None:
    descriptor = root
    for _ in range(MAX_DEPTH):
        if descriptor.media_type in SCHEMA1_MANIFESTS:
            return None
        manifest = parse_manifest(await read_document(source, descriptor), descriptor.media_type)
        if isinstance(manifest, Index):
            entry = _entry(manifest, platforms)
            if entry is None:
                return None
            descriptor = entry
            continue
        if not manifest.is_image or manifest.config is None:
            return None
        from puller.model.config import parse_config  # only now: most dates are known, or not asked for

        return parsed_date(parse_config(await read_document(source, manifest.config)).created)
    return None


def _entry(index: Index, platforms: Sequence[Platform]) -> Descriptor | None:
    if platforms:
        return index.choose(platforms[0])
    images = (entry for entry in index.readable if entry.platform is None or entry.platform.os != ATTESTATION)
    return next(images, None)


def parsed_date(text: str) -> datetime | None:
    """A time as Go writes it (RFC 3339); None for what is none, and for Go's zero time, which says nothing."""
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return date if date.year > 1 else None
