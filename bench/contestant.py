"""Who takes part: for each, the command that brings one image into an empty folder."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.layout import Image
from bench.measure import Usage
from bench.registry import Registry

Command = list[str]


@dataclass(frozen=True, slots=True)
class Task:
    """One image to fetch: from where, under which repository, and into what."""

    registry: Registry
    repository: str
    image: Image

    @property
    def reference(self) -> str:
        """The name every client understands."""
        return self.registry.name(self.repository)


class Daemon(Protocol):
    """A process that does a contestant's work without being its child."""

    def begin(self) -> None:
        """Before each run, unmeasured: forget what the run before brought, and count from here."""

    def added(self, usage: Usage) -> Usage:
        """What the contestant itself used, and what the daemon used since `begin`."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A name for the table, the command for an empty folder that exists, and who else works for it."""

    name: str
    command: Callable[[Path], Command]
    daemon: Daemon | None = None


def puller(task: Task, *options: str) -> Contestant:
    """This project's command line as users start it, with options that its name shows; it unpacks by itself."""

    def command(store: Path) -> Command:
        pull = [sys.executable, "-m", "puller", "pull", task.reference, "--store", str(store), "--quiet"]
        return [*pull, "--platform", "linux/amd64", "--plain-http", task.registry.host, *options]

    return Contestant(" ".join(["puller", *options]), command)


def skopeo(task: Task) -> Contestant:
    """Debian's skopeo into an OCI layout; it checks the digests of blobs and does not fsync."""
    return Contestant("skopeo", lambda store: _skopeo(task, store))


def skopeo_synced(task: Task) -> Contestant:
    """The same, and then its files made as durable as a committed blob of ours is: for information."""

    def command(store: Path) -> Command:
        return ["sh", "-c", '"$@" && find "$0" -type f -exec sync {} +', str(store), *_skopeo(task, store)]

    return Contestant("skopeo, then sync of its files", command)


def _skopeo(task: Task, store: Path) -> Command:
    copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]
    return [*copy, f"docker://{task.reference}", f"oci:{store}:{task.image.name}"]


def curl(task: Task) -> Contestant:
    """The blobs alone, three at a time, to files: no digest, no manifest. The floor of any copy."""

    def command(store: Path) -> Command:
        return ["curl", "--silent", "--fail", "--parallel", "--parallel-max", "3", *blob_urls(task, store)]

    return Contestant("curl (blobs to files, unchecked)", command)


def blob_urls(task: Task, store: Path) -> Sequence[str]:
    """`--output FILE URL` for each distinct layer, as curl takes them."""
    base = f"{task.registry.scheme}://{task.registry.host}/v2/{task.repository}/blobs"
    digests = dict.fromkeys(layer.digest for layer in task.image.layers)
    return [word for digest in digests for word in ("--output", str(store / digest[7:]), f"{base}/{digest}")]
