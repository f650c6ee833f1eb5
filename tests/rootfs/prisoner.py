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
    parent = os.getppid()
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    beyond = os.open(outside, os.O_RDONLY | os.O_DIRECTORY)
    held = os.open(outside / "hello", os.O_RDONLY)
    held_program = os.open("/bin/true", os.O_PATH)
    "name".encode("idna")  # what sockets need to be loaded for names
    os.chdir(root)
    missing = jail.enter(fd, FENCE)
    inside: dict[str, Callable[[], object]] = {
        "write_inside": lambda: Path("a/f").write_text("in"),
        "link_inside": lambda: os.link("a/f", "b/g"),
        "rename_inside": lambda: Path("b/g").rename("a/h"),
        "read_what_is_open": lambda: os.read(held, 1),
        "list_inside": lambda: list(Path().iterdir()),
        "truncate_inside": lambda: os.truncate("a/f", 1),
        "remove_inside": Path("a/h").unlink,
    }
    # By a descriptor, which no chroot would hinder.
    forbidden: dict[str, Callable[[], object]] = {
        "create_outside": lambda: os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=beyond),
        "write_outside": lambda: os.open("hello", os.O_WRONLY, dir_fd=beyond),
        "truncate_outside": lambda: os.open("hello", os.O_RDWR | os.O_TRUNC, dir_fd=beyond),
        "remove_outside": lambda: os.unlink("hello", dir_fd=beyond),
        "make_directory_outside": lambda: os.mkdir("new", dir_fd=beyond),
        "link_outside": lambda: os.link("a/f", "new", dst_dir_fd=beyond, follow_symlinks=False),
        "link_from_outside": lambda: os.link("hello", "a/stolen", src_dir_fd=beyond, follow_symlinks=False),
        "rename_outside": lambda: os.rename("a/f", "new", dst_dir_fd=beyond),
        "read_outside": lambda: os.open("hello", os.O_RDONLY, dir_fd=beyond),
        "list_outside": lambda: os.open(".", os.O_RDONLY, dir_fd=beyond),
        "write_by_path": lambda: (outside / "hello").write_text("bad"),
        "chmod_by_path": lambda: (outside / "hello").chmod(0o777),
        "climb": lambda: Path("../outside/hello").chmod(0o777),
        "read_inside": Path("a/f").read_text,
        "execute": lambda: os.execve(held_program, ["true"], {}),
        "make_socket_inside": lambda: socket.socket(socket.AF_UNIX).bind("a/socket"),
        "connect": lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
        "signal_outside": lambda: os.kill(parent, signal.SIGCONT),
        "too_large_a_file": lambda: os.truncate("a/f", FENCE.file + 1),
        "too_much_memory": lambda: bytearray(FENCE.memory),
    }
    found = {name: tried(attempt) for name, attempt in {**inside, **forbidden}.items()}
    found["tarfile"] = tried(lambda: extract(Path()))
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
