"""Portrait: all that a layer can say of a tree, to be compared with that of another."""

import hashlib
import os
import stat
from pathlib import Path

Facts = dict[str, tuple[object, ...]]


def portrait(base: Path, *, root: bool = True) -> Facts:
    """By name: type, mode, owner, time, content, attributes; hard links by the first name of their group."""
    found: Facts = {}
    groups: dict[int, str] = {}
    paths = sorted((base, *base.rglob("*"))) if root else sorted(base.rglob("*"))
    for path in paths:
        state = path.lstat() if path != base else path.stat()  # which can be a link to what has no path
        name = str(path.relative_to(base))
        kind = stat.S_IFMT(state.st_mode)
        first = name if kind == stat.S_IFDIR else groups.setdefault(state.st_ino, name)
        content: object = None
        if stat.S_ISREG(kind):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(kind):
            content = str(path.readlink())
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            content = state.st_rdev
        # A link's own attributes cannot be set, and security labels are this machine's.
        names = [] if stat.S_ISLNK(kind) else [n for n in os.listxattr(path) if n.startswith(("user.", "security.cap"))]
        attributes = tuple(sorted((name, os.getxattr(path, name)) for name in names))
        mode = stat.S_IMODE(state.st_mode)
        found[name] = (kind, mode, state.st_uid, state.st_gid, state.st_mtime_ns, content, first, attributes)
    return found
