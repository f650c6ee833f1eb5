"""Untagging: a tag taken away and nothing else, so that other tags of the same digest stay (DEMANDS C21).

Registries of distribution-spec 1.1 ("Deleting tags") are told to. Others delete digests only, with all their tags, as
docker-registry 2 does. There, as regclient does it, the tag is first given to a manifest that was made for this and
that nobody else names, and that one is deleted. Whether the registry deletes at all is tried before the tag is touched.
"""

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol

import anyio

from puller.contracts.content import Ingest
from puller.errors import (
    ContentUnknown,
    DigestMismatch,
    NotFound,
    ProtocolViolation,
    Unsupported,
)
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCI_CONFIG, OCI_MANIFEST
from puller.registry.identity.auth import Scope
from puller.registry.uploading.documents import handed_in, put_document
from puller.registry.uploading.parcel import Parcel, Receipt
from puller.registry.uploading.refusal import refused
from puller.registry.uploading.upload import Place

TRIES = 5  # to find out whether digests are deleted, while others delete the same
MARK = "puller.untagging"  # the annotation of such manifests: the tag that is to go
_CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
_DONE = frozenset({200, 202, 204})
# 405 where nothing is deleted, 400 (DIGEST_INVALID, UNSUPPORTED ...) or 404 where a tag is taken for a digest.
_REFUSALS = frozenset({400, 404, 405, 501})
_NEVER = frozenset({405, 501})
_HINT = "Its owner may allow deletes (docker-registry: storage.delete.enabled), or has a tool of its own for that."


class Repository(Protocol):
    """What this needs of one."""

    async def named(self, tag: str) -> Digest | None:
        """What a tag names now; None: nothing."""
        ...

    def ingest(self, expected: Descriptor) -> AbstractAsyncContextManager[Ingest | None]:
        """See Target."""
        ...


class Untagging:
    """Takes tags of one repository away; remembers what its registry can do."""

    def __init__(self, place: Place, repository: Repository) -> None:
        actions = ("delete", "pull", "push")
        self._place = replace(place, scope=Scope(place.scope.repository, actions))
        self._repository = repository
        self._deletes_tags = True
        self._deletes_digests = False
        self._lock = anyio.Lock()

    async def untag(self, tag: str, expected: Digest) -> None:
        """See TagKeeper. An earlier one that was interrupted is finished.

        Between looking and deleting somebody may move the tag: registries have no way to forbid that.
        """
        if self._deletes_tags:
            if await self._is_gone(tag, expected) or await self._refusal(tag, f"tag {tag}") is None:
                return
            if await self._repository.named(tag) is None:
                return  # somebody was quicker
            self._deletes_tags = False
        async with self._lock:
            if not await self._is_gone(tag, expected):  # asked now: it may have waited long for others
                await self._exchange(tag, expected)

    async def _is_gone(self, tag: str, expected: Digest) -> bool:
        """Whether there is nothing to do, or no more than to finish. Raises DigestMismatch."""
        there = await self._repository.named(tag)
        if there is None:
            return True
        mark, _ = marker(tag)
        if there == mark.digest:
            await self._finish(tag)
            return True
        if there != expected:
            raise DigestMismatch("the tag names something else by now", where=tag, wanted=expected, got=there)
        return False

    async def _exchange(self, tag: str, expected: Digest) -> None:
        mark, raw = marker(tag)
        try:
            await self._bring_config()
            if not self._deletes_digests and await self._is_taken(tag, expected):
                return
            await put_document(self._place, raw, mark, tag)
        except (ContentUnknown, NotFound, ProtocolViolation) as error:
            if error.phase == "authentication":
                raise
            if await self._is_gone(tag, expected):  # docker-registry stumbles where others take it away as well
                return
            raise _unsupported("the registry deletes no tags, nor lets them be moved away") from error
        await self._finish(tag)

    async def _is_taken(self, tag: str, expected: Digest) -> bool:
        """Find out whether the registry deletes digests; True: others have taken the tag away meanwhile.

        As these delete the same, it is no answer that it is not there. Raises Unsupported, and what putting one raises.
        """
        mark, raw = marker(tag)
        name, what = str(mark.digest), f"manifest {mark.digest.short}"
        for _ in range(TRIES):
            await put_document(self._place, raw, mark, name)
            refusal = await self._refusal(name, what)
            self._deletes_digests = refusal is None
            if self._deletes_digests:
                return False
            if refusal in _NEVER:
                break
            if await self._is_gone(tag, expected):
                return True
        raise _unsupported("the registry deletes no tags")

    async def _finish(self, tag: str) -> None:
        """Delete what stands in for the tag.

        Where others do the same at the same time, docker-registry may refuse it for what it finds half removed
        (DIGEST_INVALID): then it is gone.
        """
        mark, _ = marker(tag)
        name, what = str(mark.digest), f"manifest {mark.digest.short}"
        if await self._refusal(name, what) and await self._repository.named(tag) == mark.digest:
            await self._delete(name, what)

    async def _bring_config(self) -> None:
        async with self._repository.ingest(Descriptor(OCI_CONFIG, Digest.of(_CONFIG), len(_CONFIG))) as ingest:
            if ingest is not None:
                await ingest.write(_CONFIG)
                await ingest.commit()

    async def _delete(self, name: str, what: str) -> None:
        """Delete it; what is not there is deleted. Raises RegistryError."""
        receipt = await self._asked(name, what)
        if receipt.status not in _DONE and receipt.status != 404:
            raise refused(receipt, what=what)

    async def _refusal(self, name: str, what: str) -> int | None:
        """The status by which the registry will not delete it; None: it has. Raises RegistryError."""
        receipt = await self._asked(name, what)
        return None if receipt.status in _DONE else receipt.status

    async def _asked(self, name: str, what: str) -> Receipt:
        parcel = Parcel("DELETE", self._place.url(f"manifests/{name}"), what, self._place.scope, _DONE | _REFUSALS)
        return await handed_in(self._place.session, parcel)


def marker(tag: str) -> tuple[Descriptor, bytes]:
    """The manifest that stands in for `tag` before it goes, always the same: of an interrupted run it is recognised."""
    config = Descriptor(OCI_CONFIG, Digest.of(_CONFIG), len(_CONFIG))
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.encode(),
        "layers": [],
        "annotations": {MARK: tag, "org.opencontainers.image.description": "stands in for a tag that is being removed"},
    }
    raw = json.dumps(document, separators=(",", ":")).encode()
    return Descriptor(OCI_MANIFEST, Digest.of(raw), len(raw)), raw


def _unsupported(what: str) -> Unsupported:
    return Unsupported(what, hint=_HINT)
