"""What names with `.wh.` mean, and the two ways to obey: remove what is below, or cover it in the form of overlayfs.

Source: OCI image-spec layer.md, "Whiteouts": they concern lower layers only, wherever in the layer they stand.
"""

from typing import Final

from puller.errors import InvalidArchive
from puller.rootfs.name import shown

PREFIX: Final = b".wh."
OPAQUE: Final = b".wh..wh..opq"
_AUFS: Final = b".wh..wh."  # at the root: aufs's own files (LEGACY.md d.3)


def is_aufs(parts: tuple[bytes, ...]) -> bool:
    """Whether an entry is one of aufs's own notes, which mean nothing elsewhere: `.wh..wh.plnk/…`, `.wh..wh.aufs`."""
    return bool(parts) and parts[0].startswith(_AUFS) and parts[0] != OPAQUE


def check_parents(parts: tuple[bytes, ...]) -> None:
    """Refuse whiteouts as directories. Raises InvalidArchive."""
    if any(part.startswith(PREFIX) for part in parts):
        raise InvalidArchive("a whiteout that is a directory", where=shown(b"/".join(parts)))


def hidden_by(base: bytes) -> bytes | None:
    """The name that the whiteout `base` hides; None where it hides all. Raises InvalidArchive (THREATS F5)."""
    if base == OPAQUE:
        return None
    name = base.removeprefix(PREFIX)
    if name in (b"", b".", b"..") or name.startswith(PREFIX):
        raise InvalidArchive("a whiteout of no possible name", where=shown(base))
    return name
