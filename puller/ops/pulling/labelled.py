"""Labelled: layers that a schema 1 manifest names by a tarsum label, not by a digest of their bytes.

The label is all there is to hold them to, and it says little (THREATS D1): so the report calls them weak, and they are
kept under the sha256 of the bytes that came. These are known only at the end, so a layer is written to a file without
a name first; from there it goes through the same gate as everything else.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
from anyio import to_thread

from puller.contracts.content import labelled
from puller.errors import LayerError, LimitExceeded, NoSpace, PullerError, TarsumMismatch
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest, TarsumDigest
from puller.model.event import Advanced, Started
from puller.model.facts import Facts
from puller.model.mediatype import OCTETS
from puller.model.report import WEAK, Check, Origin
from puller.ops.pulling.gate import Gate
from puller.ops.pulling.ledger import proved_earlier
from puller.ops.pulling.plan import Step
from puller.ops.pulling.transfer import Transferred, copy_blob
from puller.ops.pulling.watch import stop_when_cancelled
from puller.store.disk import RESERVE, DiskStore
from puller.store.failure import translated
from puller.stream.inflate import Inflate
from puller.stream.sink import Chunk, Digester, Tee
from puller.stream.tarsum import Tarsum, TarsumSink

CHUNK = 1 << 20
_FACT = "tarsum.v1+sha256"  # the one label that facts of a blob speak of


class Labelled:
    """Brings such layers into the store; they are written first where its unfinished blobs are.

    What `registry` served under a label is taken again for that registry only: whoever can make two archives of one
    tarsum would else choose what others get.
    """

    def __init__(self, gate: Gate, limiter: anyio.CapacityLimiter, registry: str, *, max_unpacked: int) -> None:
        self._registry = registry
        self._gate = gate
        self._limiter = limiter
        self._folder = gate.store.layout.ingests if isinstance(gate.store, DiskStore) else None
        self._max_unpacked = max_unpacked

    async def bring(self, role: str, written: str) -> Descriptor:
        """The blob that the manifest names as `written`; as the store has it now, under a digest of its own.

        Raises TarsumMismatch, Unsupported where the source knows no such names, and what a fetch raises.
        """
        label = TarsumDigest.parse(written)
        gate, name = self._gate, Digest.of(f"{self._registry} {label}".encode())
        async with self._limiter, gate.store.locked(f"tarsum-{name.hex}"):
            started = gate.ledger.now()
            try:
                known = await self._known(label, name)
                if known is not None:
                    self._report(role, label, known, None, started)
                    return known
                transferred, facts = await self._fetched(role, label, written)
            except PullerError as error:
                raise error.at(digest=written, phase=role) from error.__cause__
            stored = transferred.descriptor
            await gate.store.prove(stored.digest, facts)
            await gate.store.prove(name, Facts(labels={str(label): stored.digest}))
            self._report(role, label, stored, transferred, started)
            return stored

    async def _known(self, label: TarsumDigest, name: Digest) -> Descriptor | None:
        """What an earlier pull has found to be the blob of this label, if it is still here."""
        store = self._gate.store
        digest = ((await store.facts(name)).labels or {}).get(str(label))
        if digest is None:
            return None
        await self._gate.lease.hold([digest])
        descriptor = Descriptor(OCTETS, digest)
        if not await store.exists(descriptor):
            return None
        async with store.opened(digest) as fd:
            return Descriptor(OCTETS, digest, os.fstat(fd).st_size)

    async def _fetched(self, role: str, label: TarsumDigest, written: str) -> tuple[Transferred, Facts]:
        gate = self._gate
        shown = Descriptor(OCTETS, Digest(label.algorithm, label.hex))  # for whoever draws its progress
        proof = _Proof(label, limit=self._max_unpacked)
        with translated():
            nameless = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # entered below
        with nameless as file:
            async with labelled(gate.source, written) as body:
                gate.ledger.tell(Started(shown, 0))
                async for chunk in body:
                    await to_thread.run_sync(proof.take, chunk, file.fileno())
                    gate.ledger.tell(Advanced(shown, proof.size))
                origin = body.origin
            await to_thread.run_sync(proof.finish)
            if proof.compression != "none":
                gate.ledger.warn(f"{role} is named by tarsum and came as {proof.compression}, which Docker refused")
            wanted = Descriptor(OCTETS, proof.digest, proof.size)
            await gate.lease.hold([wanted.digest])
            await copy_blob(_Written(file.fileno(), origin), gate.store, wanted, report=lambda _: None)
        return Transferred(wanted, 0, proof.size, origin), proof.facts

    def _report(
        self, role: str, label: TarsumDigest, stored: Descriptor, transferred: Transferred | None, started: float
    ) -> None:
        check = Check("tarsum", str(label), str(label), passed=True, note=WEAK)
        found = Check("digest", None, str(stored.digest), None, note="the manifest names none")
        checks = (found, check) if transferred is not None else (*proved_earlier((found,)), check)
        self._gate.ledger.add(Step(role, stored), transferred, checks, started)


class _Proof:
    """What the bytes prove to be, while they are written to a file."""

    def __init__(self, label: TarsumDigest, *, limit: int) -> None:
        self._label = label
        self._blob = Digester()
        self._layer = Digester()
        self._tarsum = Tarsum.for_label(label.label, pulse=stop_when_cancelled)
        self._inflate = Inflate(Tee(self._layer, TarsumSink(self._tarsum)), limit=limit, pulse=stop_when_cancelled)

    @property
    def digest(self) -> Digest:
        return self._blob.digest

    @property
    def size(self) -> int:
        return self._blob.size

    @property
    def compression(self) -> str:
        return self._inflate.compression or "none"

    @property
    def facts(self) -> Facts:
        tarsum = str(self._label) if self._label.label == _FACT else None
        return Facts(self._layer.digest, self._layer.size, tarsum, verified=True)

    def take(self, chunk: Chunk, fd: int) -> None:
        """The next bytes. Raises TarsumMismatch where they are no archive."""
        rest = memoryview(chunk)
        self._blob.write(chunk)
        with _held_to(self._label):
            self._inflate.write(chunk)
        with translated():
            room = os.fstatvfs(fd)
            if room.f_bavail * room.f_frsize < RESERVE + len(rest):
                raise NoSpace("no room for the layer", wanted=f"{RESERVE} bytes that stay free", got=self.size)
            while rest:
                rest = rest[os.write(fd, rest) :]

    def finish(self) -> None:
        """There are no more. Raises TarsumMismatch."""
        with _held_to(self._label):
            self._inflate.finish()
        found = self._tarsum.sum()
        if found != str(self._label):
            raise _mismatch(self._label, found)


class _Written:
    """A Fetcher of the one blob that was written to an open file."""

    def __init__(self, fd: int, origin: Origin) -> None:
        self._fd = fd
        self._origin = origin

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator["_FileBody"]:
        yield _FileBody(self._fd, offset, self._origin)


class _FileBody:
    def __init__(self, fd: int, offset: int, origin: Origin) -> None:
        self._fd = fd
        self._offset = offset
        self.origin = origin

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        while chunk := await to_thread.run_sync(os.pread, self._fd, CHUNK, self._offset):
            self._offset += len(chunk)
            yield chunk


@contextmanager
def _held_to(label: TarsumDigest) -> Iterator[None]:
    """What cannot be summed is not what the label names."""
    try:
        yield
    except LimitExceeded:
        raise
    except LayerError as error:
        raise _mismatch(label, error.what) from error


def _mismatch(label: TarsumDigest, found: object) -> TarsumMismatch:
    return TarsumMismatch(f"filesystem layer verification failed for digest {label}", wanted=label, got=found)
