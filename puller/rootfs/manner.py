"""Manner: how layers are to be unpacked, the same for all layers of a run."""

from dataclasses import dataclass
from typing import Final

from puller.rootfs.idmap import SAME, IdMap
from puller.rootfs.limits import Limits

DEFAULT: Final = Limits()


@dataclass(frozen=True, slots=True)
class Manner:
    """`uids`, `gids`, `keep_setuid`, `devices` and `limits` are as for Metadata and LayerApplier.

    `max_unpacked` is the most bytes that one layer may have uncompressed, its archive's padding included; `seconds` how
    long one may take, by the clock on the wall and by that of the processor. `stepwise`: open directories one component
    at a time, even where the kernel could do it in one call.
    """

    uids: IdMap = SAME
    gids: IdMap = SAME
    keep_setuid: bool | None = None
    devices: bool = False
    limits: Limits = DEFAULT
    max_unpacked: int = 64 << 30
    seconds: float = 3600.0
    stepwise: bool = False
