"""Job: one layer to unpack into one root. Outcome: what came of it. Unpacker: whoever does such jobs."""

from dataclasses import dataclass
from typing import Protocol

from puller.contracts.layers import LayerBlob, Told
from puller.model.alteration import Altered
from puller.model.digest import Digest
from puller.rootfs.applied import Applied


@dataclass(frozen=True, slots=True)
class Job:
    """`root` is the open directory to unpack into, `sidecar` a file open for writing; both stay the caller's.

    `alone`: the directory is empty and will hold this layer only, so whiteouts are listed in Outcome.applied. Else it
    holds all lower layers, and whiteouts remove what they hide.
    """

    root: int
    blob: LayerBlob
    sidecar: int
    alone: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """`diff_id` and `unpacked_size` (bytes) are of the whole uncompressed stream, with what trails the archive.

    `missing` are the walls around the unpacking that this machine does not have, each with the reason.
    """

    applied: Applied
    diff_id: Digest
    unpacked_size: int
    altered: tuple[Altered, ...]
    missing: tuple[str, ...] = ()


class Unpacker(Protocol):
    """Unpacks layers, several at once if asked by several threads."""

    def unpack(self, job: Job, told: Told) -> Outcome:
        """Do it, and block until it is done; after an error the root is good for nothing but removal.

        Raises DiffIDMismatch, LayerError in all its kinds (NeedsLower among them), Unsupported, and StoreError for
        what is the fault of this machine. When it raises, nothing is written any more.
        """
        ...
