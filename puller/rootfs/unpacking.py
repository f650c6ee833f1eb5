"""Unpacking: one blob read, inflated, hashed and applied to one root, in this very process."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from puller.contracts.layers import LayerBlob
from puller.errors import DiffIDMismatch, LimitExceeded, TruncatedArchive
from puller.rootfs.applier import LayerApplier
from puller.rootfs.erasing import Erasing
from puller.rootfs.failure import tree_error
from puller.rootfs.gathering import Gathering
from puller.rootfs.inside import Root
from puller.rootfs.job import Job, Outcome
from puller.rootfs.manner import Manner
from puller.rootfs.metadata import Metadata
from puller.rootfs.openat2 import Opener
from puller.rootfs.powers import Powers
from puller.rootfs.sidecar import SidecarWriter
from puller.stream.inflate import Inflate
from puller.stream.sane import SANE
from puller.stream.sink import Digester, Tee
from puller.stream.tar import TarSink

_CHUNK: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class Means:
    """What this process unpacks with: its powers, and how it opens directories."""

    powers: Powers
    opener: Opener


def unpack(job: Job, manner: Manner, means: Means, pulse: Callable[[int], None]) -> Outcome:
    """Unpack `job`. `pulse` hears how many bytes of the blob were read, once for each MiB of work or more often.

    Raises what `pulse` raises, and as Unpacker does.
    """
    sidecar = SidecarWriter(job.sidecar)
    digester = Digester("sha256" if job.blob.diff_id is None else job.blob.diff_id.algorithm)
    source = _Source(job.blob)
    try:
        with _applier(job, manner, means, sidecar) as applier:
            sink = Tee(digester, TarSink(applier, dialect=SANE))
            inflate = Inflate(
                sink, promised=job.blob.compression, limit=manner.max_unpacked, pulse=lambda: pulse(source.read)
            )
            for chunk in source:
                pulse(source.read)
                inflate.write(chunk)
            inflate.finish()
            _check(job, digester)
            applied = applier.finish()
    except MemoryError as error:
        raise LimitExceeded("the layer takes more memory than it may") from error
    return Outcome(applied, digester.digest, digester.size, sidecar.finish())


class _Source:
    """A blob from its start to its end, in chunks; `read` counts the bytes. Raises as tree_error says, and
    TruncatedArchive where the file ends before its window does.
    """

    def __init__(self, blob: LayerBlob) -> None:
        self._blob = blob
        self.read = 0

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._next():
            self.read += len(chunk)
            yield chunk

    def _next(self) -> bytes:
        blob = self._blob
        most = _CHUNK if blob.size is None else min(_CHUNK, blob.size - self.read)
        try:
            chunk = os.pread(blob.fd, most, blob.start + self.read)
        except OSError as error:
            raise tree_error(error, b"") from error
        if most and not chunk and blob.size is not None:
            raise TruncatedArchive("the file ends within this layer", wanted=f"{blob.size} bytes", got=self.read)
        return chunk


@contextmanager
def _applier(job: Job, manner: Manner, means: Means, sidecar: SidecarWriter) -> Iterator[LayerApplier]:
    metadata = Metadata(
        means.powers,
        uids=manner.uids,
        gids=manner.gids,
        keep_setuid=manner.keep_setuid,
        limits=manner.limits,
        report=sidecar.add,
    )
    whiteouts = Gathering() if job.alone else Erasing()
    root = Root(job.root, opener=means.opener)
    try:
        applier = LayerApplier(root, metadata, whiteouts=whiteouts, limits=manner.limits, devices=manner.devices)
    except OSError as error:
        raise tree_error(error, b"") from error
    with applier:
        yield applier


def _check(job: Job, digester: Digester) -> None:
    """Hold the layer to its diff ID: all that was compressed counts, also what trails the archive (THREATS D4)."""
    wanted = job.blob.diff_id
    if wanted is not None and wanted != digester.digest:
        raise DiffIDMismatch("the layer is not what the image says it unpacks to", wanted=wanted, got=digester.digest)
