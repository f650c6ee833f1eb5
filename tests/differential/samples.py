"""Real small archives, written by every writer at hand, for the generator to change."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path


def samples(folder: Path) -> list[bytes]:
    """One tree as GNU tar, bsdtar and Python pack it, in all their formats; fewer where a program is missing."""
    tree = folder / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(b"content" * 100)
    (tree / ("long" * 40)).write_bytes(b"long")
    (tree / "hard").hardlink_to(tree / "file")
    (tree / "link").symlink_to("to/" * 40)
    (tree / "dir").mkdir()
    os.mkfifo(tree / "pipe")
    with (tree / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 14)
        sparse.seek(1 << 13)
        sparse.write(b"data")
    for path in (tree, *tree.rglob("*")):
        os.utime(path, ns=(0, 1_600_000_000_123_456_789), follow_symlinks=False)
    return [*_of_python(tree), *_of_programs(tree)]


def _of_python(tree: Path) -> list[bytes]:
    packed = []
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
            for path in sorted(tree.iterdir()):
                archive.add(path, path.name)
        packed.append(buffer.getvalue())
    return packed


def _of_programs(tree: Path) -> list[bytes]:
    packed = []
    for program, option, formats in (
        ("tar", "--format=", ("v7", "oldgnu", "gnu", "ustar", "posix")),
        ("tar", "--sparse --format=", ("gnu", "posix")),
        ("bsdtar", "--format=", ("ustar", "pax", "gnutar", "v7")),
    ):
        if shutil.which(program) is None:
            continue
        for form in formats:
            command = [program, *f"{option}{form}".split(), "--sort=name" if program == "tar" else "--no-xattrs"]
            if form == "posix":
                # Nothing of this run: names without its number, no times but those set above.
                command.append("--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime")
            command += ["-cf", "-", "-C", str(tree), "."]
            # A format without room for a name leaves the file out and says so.
            packed.append(subprocess.run(command, capture_output=True, check=False).stdout)
    return packed
