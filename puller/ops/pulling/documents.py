"""Documents of a pull: manifests, indexes and configs. Small, and decoded before they exist in the store."""

from collections.abc import Callable
from typing import TypeVar

from puller.errors import Unsupported
from puller.model.config import ImageConfig, parse_config
from puller.model.descriptor import Descriptor
from puller.model.document import MAX_BYTES, MAX_DOCUMENTS, MAX_TOTAL
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.model.mediatype import OCTETS
from puller.ops.pulling.gate import Gate
from puller.ops.pulling.ledger import content_checks
from puller.ops.pulling.plan import Step
from puller.ops.pulling.watch import DocumentWatch

T = TypeVar("T")


class Documents:
    """Brings documents through the gate. A document that does not follow its format never gets into the store."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._manifests = 0
        self._total = 0

    async def manifest(self, role: str, wanted: Descriptor) -> Manifest | Index:
        """The manifest or index `wanted`. Raises InvalidManifest, MediaTypeMismatch, Unsupported."""
        self._manifests += 1
        if self._manifests > MAX_DOCUMENTS:
            raise Unsupported("too many manifests under one name", wanted=f"at most {MAX_DOCUMENTS}")
        claimed = None if wanted.media_type in ("", OCTETS) else wanted.media_type
        return await self._bring(role, wanted, lambda raw: parse_manifest(raw, claimed))

    async def config(self, wanted: Descriptor) -> ImageConfig:
        """The image config `wanted`. Raises InvalidManifest, Unsupported."""
        return await self._bring("config", wanted, parse_config)

    async def _bring(self, role: str, wanted: Descriptor, decode: Callable[[bytes], T]) -> T:
        if wanted.size is not None and wanted.size > MAX_BYTES:
            raise Unsupported(f"{role} is too large", wanted=f"at most {MAX_BYTES} bytes", got=wanted.size)
        gate, step = self._gate, Step(role, wanted)
        started = gate.ledger.now()
        watches: list[DocumentWatch[T]] = []

        def counted(raw: bytes) -> T:
            self._count(len(raw))
            return decode(raw)

        def watch() -> list[DocumentWatch[T]]:
            watches[:] = [DocumentWatch(counted, what=role)]
            return watches

        async def known() -> T:
            return counted(await gate.store.read(wanted, limit=MAX_BYTES))

        async def seen() -> T:
            return watches[0].decoded()

        transferred, document = await gate.bring(step, watch, seen=seen, known=known)
        actual = wanted if transferred is None else transferred.descriptor
        gate.ledger.add(step, transferred, content_checks(wanted, actual), started)
        return document

    def _count(self, size: int) -> None:
        self._total += size
        if self._total > MAX_TOTAL:
            raise Unsupported("too much metadata under one name", wanted=f"at most {MAX_TOTAL} bytes", got=self._total)
