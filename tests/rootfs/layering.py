"""Layers written entry by entry, and trees put into words. Needs the standard library only: see gauntlet."""

import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from puller.model.alteration import Report, unreported
from puller.rootfs.applied import Applied
from puller.rootfs.applier import LayerApplier
from puller.rootfs.erasing import Whiteouts
from puller.rootfs.inside import Root
from puller.rootfs.limits import Limits
from puller.rootfs.metadata import Metadata
from puller.rootfs.openat2 import Opener
from puller.rootfs.powers import Powers
from puller.rootfs.seating import MARKS, Mark, seat
from puller.stream.sane import SANE, Sane
from puller.stream.tar import TarSink
from puller.stream.tarentry import CHARACTER_DEVICE, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK
from tests.stream.archive import END, header, octal, padded, pax

SMALL = Limits(reserve=0)
MARK: Mark = MARKS[0] if Powers.of_this_process().trusted else MARKS[1]
DIR = "dir"
Words = dict[str, str]


def entry(
    name: str | bytes,
    kind: bytes = REGULAR,
    content: bytes = b"",
    link: str | bytes = "",
    *,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: float | str = 12,
    device: tuple[int, int] = (0, 0),
    xattrs: Mapping[str, bytes] | None = None,
) -> bytes:
    """One member of an archive; what a plain header cannot say is said in a PAX header in front of it."""
    raw, target = (value if isinstance(value, bytes) else os.fsencode(value) for value in (name, link))
    records = [(b"SCHILY.xattr." + os.fsencode(key), value) for key, value in (xattrs or {}).items()]
    if mtime != 12:
        records.append((b"mtime", str(mtime).encode()))
    records += [(key, value) for key, value in ((b"path", raw), (b"linkpath", target)) if len(value) > 99]
    records += [(key, b"%d" % value) for key, value in ((b"uid", uid), (b"gid", gid)) if value > 0o7777777]
    major, minor = (octal(number, 8) for number in device)
    block = header(
        raw[:99], kind=kind, size=len(content), link=target[:99], mode=octal(mode, 8), uid=octal(uid & 0o7777777, 8),
        gid=octal(gid & 0o7777777, 8), major=major, minor=minor, uname=b"", gname=b"",
    )  # fmt: skip
    return (pax(*records) if records else b"") + block + padded(content)


def file(name: str | bytes, content: str = "", **more: object) -> bytes:
    return entry(name, REGULAR, content.encode(), **more)  # type: ignore[arg-type]  # checked where `entry` takes them


def folder(name: str | bytes, mode: int = 0o755, **more: object) -> bytes:
    return entry(name, DIRECTORY, mode=mode, **more)  # type: ignore[arg-type]  # likewise


def symlink(name: str | bytes, target: str | bytes, **more: object) -> bytes:
    return entry(name, SYMLINK, link=target, mode=0o777, **more)  # type: ignore[arg-type]  # likewise


def hardlink(name: str | bytes, target: str | bytes, **more: object) -> bytes:
    return entry(name, HARD_LINK, link=target, **more)  # type: ignore[arg-type]  # likewise


def fifo(name: str, **more: object) -> bytes:
    return entry(name, FIFO, **more)  # type: ignore[arg-type]  # likewise


def device(name: str, major: int, minor: int, kind: bytes = CHARACTER_DEVICE, **more: object) -> bytes:
    return entry(name, kind, device=(major, minor), **more)  # type: ignore[arg-type]  # likewise


def layer(*entries: bytes) -> bytes:
    return b"".join(entries) + END


def apply(
    base: Path,
    archive: bytes,
    *,
    opener: Opener | None = None,
    powers: Powers | None = None,
    metadata: Metadata | None = None,
    whiteouts: Whiteouts | None = None,
    limits: Limits = SMALL,
    devices: bool = False,
    report: Report = unreported,
    sparse: bool = False,
    chunk: int = 1 << 20,
) -> Applied:
    """Unpack one layer onto the directory `base`."""
    metadata = metadata or Metadata(powers or Powers.of_this_process(), limits=limits, report=report)
    fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        root = Root(fd, opener=opener)
        with LayerApplier(root, metadata, whiteouts=whiteouts, limits=limits, devices=devices) as applier:
            sink = TarSink(applier, dialect=Sane(sparse=True) if sparse else SANE)
            for at in range(0, len(archive), chunk):
                sink.write(memoryview(archive)[at : at + chunk])
            sink.finish()
            return applier.finish()
    finally:
        os.close(fd)


def seated(upper: Path, lowers: list[Path], applied: Applied) -> tuple[bytes, ...]:
    """Set a layer that was unpacked apart on others in overlayfs form; the lowest first."""
    with ExitStack() as stack:
        roots = []
        for path in (upper, *reversed(lowers)):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, fd)
            roots.append(Root(fd))
        return seat(roots[0], roots[1:], applied, MARK)


def words(base: Path) -> Words:
    """What is below `base`, by name: `dir`, `link TARGET`, a file's content in quotes, or the kind of a node."""
    found: Words = {}
    # By descriptors: some of these trees are deeper than a path can say, and some have none.
    top = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder_path, folders, files, fd in os.fwalk(".", dir_fd=top):
            for name in (*folders, *files):
                found[f"{folder_path}/{name}"[2:]] = word(name, fd)
    finally:
        os.close(top)
    return found


def word(name: str, fd: int | None = None) -> str:
    """One of these words; `fd` is the directory that `name` is in."""
    mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        return f"link {os.readlink(name, dir_fd=fd)}"
    if stat.S_ISREG(mode):
        with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=fd), "rb") as content:
            return repr(content.read().decode(errors="backslashreplace"))
    kinds = {stat.S_IFDIR: DIR, stat.S_IFIFO: "fifo", stat.S_IFCHR: "char", stat.S_IFBLK: "block"}
    return kinds[stat.S_IFMT(mode)]


def open_files() -> list[str]:
    """The descriptors of this process."""
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def census(base: Path) -> dict[str, tuple[object, ...]]:
    """All there is to know of what is below `base`, itself included, but for access times."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (base, *sorted(base.rglob("*"))):
        state = path.lstat()
        found[str(path.relative_to(base))] = (
            word(str(path)), state.st_ino, state.st_mode, state.st_uid, state.st_gid, state.st_nlink, state.st_size,
            state.st_mtime_ns, state.st_ctime_ns,
        )  # fmt: skip
    return found
