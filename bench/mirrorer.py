"""Who keeps mirrors in step: for each, its configuration and the command that runs it once."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.registry import Registry

Command = list[str]
BELOW = "mirror"


@dataclass(frozen=True, slots=True)
class Errand:
    """All tags of these repositories, from a registry to another one or into a directory; `work` is for own files."""

    source: Registry
    repositories: Sequence[str]
    target: Registry | Path
    work: Path

    @property
    def registry(self) -> Registry | None:
        """The target, where it is one."""
        return self.target if isinstance(self.target, Registry) else None


@dataclass(frozen=True, slots=True)
class Mirrorer:
    """A name for the table, the command, and whether it can be run again over its own directory."""

    name: str
    command: Callable[[Errand], Command]
    overwrites: bool


def short(repository: str) -> str:
    """What a repository is called at the target: skopeo leaves all but the last word out."""
    return repository.rpartition("/")[2]


def _puller(errand: Errand) -> Command:
    config = errand.work / "mirrors.yaml"
    lines = ["puller: 1", "mirrors:"]
    for name in errand.repositories:
        to = f"oci:{errand.target}/{short(name)}"
        if isinstance(errand.target, Registry):
            to = f"{errand.target.host}/{BELOW}/{short(name)}"
        lines += [f"  - from: {errand.source.host}/{name}", f"    to: {to}"]
    config.write_text("\n".join([*lines, ""]))
    return [sys.executable, "-m", "puller", "sync", str(config), "--state", str(errand.work / "state"), "--quiet"]


def _skopeo(errand: Errand) -> Command:
    config = errand.work / "skopeo.yaml"
    names = (f"    {name}: []" for name in errand.repositories)
    config.write_text("\n".join([f"{errand.source.host}:", "  tls-verify: false", "  images:", *names, ""]))
    sync = ["skopeo", "--insecure-policy", "sync", "--all", "--src", "yaml"]
    if isinstance(errand.target, Registry):
        place = f"{errand.target.host}/{BELOW}"
        return [*sync, "--dest", "docker", "--dest-tls-verify=false", str(config), place]
    return [*sync, "--dest", "dir", str(config), str(errand.target)]


PULLER = Mirrorer("puller sync", _puller, overwrites=True)
SKOPEO = Mirrorer("skopeo sync --all", _skopeo, overwrites=False)
