"""Where built things live between runs: outside git, each complete or absent, one builder at a time."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cache:
    """The folders under one root. Names inside carry a fingerprint of their recipe, so a changed recipe builds anew."""

    root: Path

    @property
    def trees(self) -> Path:
        """Unpacked real files; needed only until the layers made of them exist."""
        return self.root / "trees"

    @property
    def layers(self) -> Path:
        """Compressed layers, each with a JSON file of facts beside it."""
        return self.root / "layers"

    @property
    def layouts(self) -> Path:
        """One OCI image layout per image, its layer blobs hard links into `layers`."""
        return self.root / "layouts"

    @property
    def registry(self) -> Path:
        """The data directory of docker-registry, holding everything that was pushed."""
        return self.root / "registry"

    @property
    def scratch(self) -> Path:
        """Stores of single runs; dropped as soon as they are measured."""
        return self.root / "scratch"


def default_root(environ: Mapping[str, str]) -> Path:
    """`$PULLER_BENCH_DIR`, else `puller-bench` in the user's cache directory (XDG base directory specification)."""
    if chosen := environ.get("PULLER_BENCH_DIR"):
        return Path(chosen)
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "puller-bench"


@contextmanager
def locked(cache: Cache) -> Iterator[None]:
    """Hold the whole cache across processes: a second builder waits and then finds everything made."""
    cache.root.mkdir(parents=True, exist_ok=True)
    with (cache.root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def building(path: Path) -> Iterator[Path]:
    """Give a fresh name to build under; when the block ends well it takes its true name by one rename."""
    partial = path.with_name(path.name + ".partial")
    remove(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    yield partial
    partial.replace(path)


def remove(path: Path) -> None:
    """Remove a file or folder if it is there."""
    _unmount_below(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _unmount_below(path: Path) -> None:
    # A killed debootstrap leaves /proc and /sys mounted inside its target: removing through them would hurt.
    below = f"{path.absolute()}{os.sep}"
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(below)]):
        subprocess.run(["umount", "--lazy", mount], check=True)
