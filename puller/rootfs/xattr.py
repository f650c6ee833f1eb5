"""Which extended attributes of a layer may reach a file: few, named here, and nothing by default (THREATS F9)."""

import os
from typing import Final

from puller.rootfs.powers import Powers

CAPABILITY: Final = b"security.capability"

# Attributes of the free namespace that other programs take orders from: whiteouts and owners could be forged.
_ORDERS: Final = (
    b"user.overlay.",
    b"user.fuseoverlayfs.",
    b"user.containers.",
    b"user.rootlesscontainers",
)


_ANYBODY: Final = Powers(file_capabilities=True)


def is_of_a_layer(name: str) -> bool:
    """Whether a layer can have brought the attribute `name`, whoever unpacked it; others are this machine's."""
    return refusal(os.fsencode(name), _ANYBODY) is None


def refusal(name: bytes, powers: Powers) -> str | None:
    """Why the attribute `name` is not set; None if it is."""
    if name == CAPABILITY:
        return None if powers.file_capabilities else "needs the right to set file capabilities"
    if not name.startswith(b"user."):
        return "only user attributes and file capabilities are unpacked"
    if name.startswith(_ORDERS):
        return "an attribute that storage drivers take orders from"
    return None
