"""LocalCarrier: brings images in this process."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol

import anyio

from puller.contracts.images import Claims, ImageSource, ImageTarget
from puller.errors import ContentMissing, NotFound, PullerError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Report, unheard
from puller.model.sync import Carried, Transfer
from puller.ops.copying.claims import LocalClaims
from puller.ops.copying.place import repository_of

DEFAULT_JOBS = 3  # as docker does

__all__ = ["LocalCarrier", "LocalClaims", "Places"]


class Places(Protocol):
    """Opens places by their texts; the same object for the same place as long as it lasts."""

    async def source(self, place: str) -> ImageSource:
        """A place to bring images from. Raises any PullerError."""
        ...

    async def target(self, place: str) -> ImageTarget:
        """A place to bring images to. Raises any PullerError."""
        ...


class LocalCarrier:
    """A Carrier over `places`. `jobs`: blobs that flow at once; `images` are worked at, twice as many unless said, so
    that manifests of some come while layers of others flow.
    """

    def __init__(
        self,
        places: Places,
        *,
        claims: Claims | None = None,
        jobs: int = DEFAULT_JOBS,
        images: int | None = None,
        report: Report = unheard,
    ) -> None:
        self._places = places
        self._claims = LocalClaims(places) if claims is None else claims
        self._blobs = anyio.CapacityLimiter(jobs)
        self._images = anyio.CapacityLimiter(images or 2 * jobs)
        self._report = report

    async def carry(self, transfer: Transfer) -> Carried:
        """See Carrier."""
        name = f"{transfer.target}:{transfer.tag}" if transfer.tag else f"{transfer.target}@{transfer.digest}"
        try:
            async with self._images:
                return await self._carry(transfer)
        except PullerError as error:
            raise error.at(reference=name) from error.__cause__

    async def _carry(self, transfer: Transfer) -> Carried:
        from puller.ops.copying.image import copy_image  # only now: most runs find nothing new

        source = await self._places.source(transfer.source)
        target = await self._places.target(transfer.target)
        root = Descriptor(transfer.media_type, Digest.parse(transfer.digest), transfer.size)
        replaces: Mapping[str, Digest | None] = {}
        keep: Callable[[Digest], Awaitable[None]] | None = None
        if transfer.tag is not None:
            replaces = {transfer.tag: None if transfer.replaces is None else Digest.parse(transfer.replaces)}
            if transfer.backup is not None and transfer.replaces is not None:
                keep = partial(self._back_up, target, transfer.tag, transfer.backup)
        return await copy_image(
            source,
            target,
            root,
            () if transfer.tag is None else (transfer.tag,),
            transfer.manner,
            claims=self._claims,
            limiter=self._blobs,
            report=self._report,
            replaces=replaces,
            keep=keep,
        )

    async def _back_up(self, target: ImageTarget, tag: str, backup: str, following: Digest) -> None:
        """Put what `tag` names now under `backup`, unless that is what it goes on to name."""
        from puller.ops.copying.reading import read_document

        current = await target.named(tag)
        if current is None or current == following or await target.named(backup) == current:
            return
        kept = await self._places.source(target.place)
        try:
            descriptor = await kept.resolve(repository_of(target.place).with_digest(current))
            raw = await read_document(kept, descriptor)
        except (NotFound, ContentMissing) as error:
            error.hint = error.hint or "Without it there is nothing to keep under the backup tag: take the tag away."
            raise
        await target.put_manifest(raw, descriptor, backup)
