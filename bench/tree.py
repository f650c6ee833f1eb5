"""Trees of real files, as layers hold them: Debian, Debian packages, Python wheels, npm packages, the interpreter.

Everything is fetched by name through the ordinary clients (debootstrap, apt-get, pip, npm), which know where from.
"""

import hashlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from bench.cache import Cache, building, remove
from bench.tool import MissingTool, fetch, require, run


class Tree(Protocol):
    """A recipe for one folder of files; its `repr` is its identity."""

    @property
    def name(self) -> str:
        """A word for people."""

    def grow(self, root: Path) -> None:
        """Fill the empty folder `root`; raises MissingTool or ToolFailed."""


def fingerprint(recipe: object) -> str:
    """Twelve hex digits that change when the recipe does."""
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]


def grown(cache: Cache, tree: Tree) -> Path:
    """The folder of that tree, built at the first call."""
    path = cache.trees / f"{tree.name}-{fingerprint(tree)}"
    if not path.exists():
        with building(path) as partial:
            partial.mkdir()
            tree.grow(partial)
    return path


@dataclass(frozen=True, slots=True)
class Debian:
    """A minimal Debian. For a foreign architecture only the unpacking stage runs: real files, never executed."""

    suite: str = "bookworm"
    architecture: str = "amd64"

    @property
    def name(self) -> str:
        return f"debian-{self.architecture}"

    def grow(self, root: Path) -> None:
        if os.geteuid() != 0:
            raise MissingTool("debootstrap", "must be run as root")
        foreign = [] if self.architecture == run(["dpkg", "--print-architecture"]).strip() else ["--foreign"]
        command = ["debootstrap", "--variant=minbase", f"--arch={self.architecture}", *foreign]
        fetch([*command, self.suite, str(root)], env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})
        # As Debian's own images do: no package lists and archives, no logs, no device nodes.
        for place in ("var/cache/apt", "var/lib/apt/lists", "var/log", "debootstrap", "dev"):
            for path in (root / place).glob("*"):
                remove(path)


@dataclass(frozen=True, slots=True)
class Debs:
    """The files of Debian packages, unpacked without their dependencies or scripts."""

    packages: tuple[str, ...]

    @property
    def name(self) -> str:
        return "debs-" + self.packages[0]

    def grow(self, root: Path) -> None:
        require("dpkg-deb")
        with TemporaryDirectory(dir=root.parent, prefix="download-") as download:
            # As root apt would fetch as a user of its own, who may not enter here.
            fetch(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *self.packages], cwd=Path(download))
            for package in sorted(Path(download).glob("*.deb")):
                run(["dpkg-deb", "-x", str(package), str(root)])


@dataclass(frozen=True, slots=True)
class Wheels:
    """Python packages as wheels for one fixed interpreter and platform, whatever runs the build."""

    title: str
    requirements: tuple[str, ...]
    python: str = "3.11"
    platforms: tuple[str, ...] = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64")

    @property
    def name(self) -> str:
        return f"wheels-{self.title}"

    def grow(self, root: Path) -> None:
        target = root / "usr/local/lib" / f"python{self.python}" / "site-packages"
        platforms = [word for platform in self.platforms for word in ("--platform", platform)]
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-compile",
            "--only-binary=:all:",
        ]
        # Root's warning about installing as root does not concern a --target install.
        command += ["--root-user-action=ignore", "--python-version", self.python, *platforms]
        fetch([*command, "--target", str(target), *self.requirements])


@dataclass(frozen=True, slots=True)
class Npm:
    """npm packages with all they depend on; no install scripts, no native extras for this very machine."""

    packages: tuple[str, ...]

    @property
    def name(self) -> str:
        return "npm"

    def grow(self, root: Path) -> None:
        target = root / "srv/app"
        target.mkdir(parents=True)
        command = [
            "npm",
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--omit=optional",
            "--loglevel=error",
        ]
        run([*command, "--no-package-lock", "--prefix", str(target), *self.packages])


@dataclass(frozen=True, slots=True)
class Library:
    """The running interpreter's own standard library: always there, no network."""

    version: str = sys.version

    @property
    def name(self) -> str:
        return "library"

    def grow(self, root: Path) -> None:
        source = sysconfig.get_paths()["stdlib"]
        target = root / "usr/lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        # config-* holds the static interpreter, tens of MB that some builds have and others have not.
        ignored = shutil.ignore_patterns("site-packages", "__pycache__", "config-*")
        shutil.copytree(source, target, symlinks=True, ignore=ignored)


def paths(root: Path) -> Iterator[Path]:
    """Everything below `root`, folders before what they hold, in one order on every machine."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        here = Path(folder).relative_to(root)
        yield here
        # A symlink to a folder is an entry of its own, and os.walk does not descend into it.
        yield from (here / name for name in sorted([*files, *(f for f in folders if Path(folder, f).is_symlink())]))
