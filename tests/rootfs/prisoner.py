"""Enters the jail and tries everything that it should forbid, as a program of its own, so that any user can run it.

    python -m tests.rootfs.prisoner FOLDER          prints one line of JSON: {what was tried: how it went}
    python -m tests.rootfs.prisoner FOLDER free     tries only what the standard library does, and without the jail

FOLDER has `root`, which becomes the jail, and `outside`; beside it is `victim`, with `hello` in it.
"""

import errno
import io
import json
import os
import resource
import signal
import socket
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

from puller.rootfs import jail
from puller.rootfs.capability import effective
from tests.rootfs.vectors import PATH_MAX

FENCE = jail.Fence(file=1 << 20, seconds=30, memory=512 << 20)


def run(folder: Path) -> dict[str, object]:
    """Go in, try, and tell."""
    root, outside = folder / "root", folder / "outside"
    (root / "a").mkdir()
    (root / "b").mkdir()
    (root / "program").symlink_to("/bin/true")
    parent = os.getppid()
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    held = os.open(outside / "hello", os.O_RDONLY)
    missing = jail.enter(fd, FENCE)
    inside: dict[str, Callable[[], object]] = {
        "write_inside": lambda: (root / "a/f").write_text("in"),
        "link_inside": lambda: os.link(root / "a/f", root / "b/g"),
        "rename_inside": lambda: (root / "b/g").rename(root / "a/h"),
        "read_what_is_open": lambda: os.read(held, 1),
        "list_inside": lambda: list(root.iterdir()),
        "truncate_inside": lambda: os.truncate(root / "a/f", 1),
        "remove_inside": (root / "a/h").unlink,
    }
    forbidden: dict[str, Callable[[], object]] = {
        "create_outside": lambda: (outside / "new").touch(),
        "write_outside": lambda: (outside / "hello").write_text("bad"),
        "truncate_outside": lambda: os.truncate(outside / "hello", 0),
        "remove_outside": (outside / "hello").unlink,
        "make_directory_outside": (outside / "new").mkdir,
        "link_outside": lambda: os.link(root / "a/f", outside / "new"),
        "link_from_outside": lambda: os.link(outside / "hello", root / "a/stolen"),
        "rename_outside": lambda: (root / "a/f").rename(outside / "new"),
        "read_outside": (outside / "hello").read_text,
        "read_inside": (root / "a/f").read_text,
        "list_outside": lambda: list(outside.iterdir()),
        "execute": lambda: os.execv("/bin/true", ["true"]),
        "make_socket_inside": lambda: socket.socket(socket.AF_UNIX).bind(str(root / "a/socket")),
        "connect": lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
        "signal_outside": lambda: os.kill(parent, signal.SIGCONT),
        "too_large_a_file": lambda: os.truncate(root / "a/f", FENCE.file + 1),
        "too_much_memory": lambda: bytearray(FENCE.memory),
    }
    found = {name: tried(attempt) for name, attempt in {**inside, **forbidden}.items()}
    found["tarfile"] = tried(lambda: extract(root))
    return {**found, **facts(), "missing": missing}


def tried(attempt: Callable[[], object]) -> str:
    """`ok`, or what it was refused with."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    except Exception as error:
        return type(error).__name__
    return "ok"


def extract(root: Path) -> None:
    """Let the standard library unpack what it cannot (CVE-2025-4517), with a filter that is said to keep it inside."""
    with tarfile.open(fileobj=io.BytesIO(PATH_MAX.layers[0])) as archive:
        archive.errorlevel = 2
        archive.extractall(root, filter="tar")


def facts() -> dict[str, object]:
    """What the kernel says of this process now."""
    mask = os.umask(0)
    return {
        "umask": mask,
        "effective": effective(),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "processes": resource.getrlimit(resource.RLIMIT_NPROC)[1],
    }


if __name__ == "__main__":
    place = Path(sys.argv[1])
    is_free = "free" in sys.argv
    json.dump({"tarfile": tried(lambda: extract(place / "root"))} if is_free else run(place), sys.stdout)
