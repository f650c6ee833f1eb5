"""Names of entries: bytes in, components out. What no honest layer holds is refused; links are followed elsewhere."""

from typing import Final

from puller.errors import InvalidArchive, LimitExceeded, UnsafePath

MAX_PATH: Final = 4096  # PATH_MAX
MAX_COMPONENT: Final = 255  # NAME_MAX


def components(name: bytes) -> tuple[bytes, ...]:
    """The parts of `name` below the root; `/`, `.` and the empty name are the root itself, `()`.

    Raises UnsafePath for `..`, InvalidArchive for a NUL, LimitExceeded for what no kernel takes. Absolute names are
    names below the root, as every unpacker has them (THREATS F1).
    """
    if len(name) > MAX_PATH:
        raise LimitExceeded("name too long", wanted=f"at most {MAX_PATH} bytes", got=len(name))
    if b"\0" in name:
        raise InvalidArchive("NUL in a name", where=shown(name))
    parts = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if b".." in parts:
        raise UnsafePath("a name that climbs", where=shown(name), got="..")
    if max(map(len, parts), default=0) > MAX_COMPONENT:
        raise LimitExceeded("name too long", where=shown(name), wanted=f"at most {MAX_COMPONENT} bytes in one part")
    return parts


def joined(parent: bytes, base: bytes) -> bytes:
    """The path of `base` in `parent`; the root is the empty path."""
    return parent + b"/" + base if parent else base


def shown(name: bytes) -> str:
    """`name` for people: what is no UTF-8 is escaped."""
    return name.decode(errors="backslashreplace")
