"""Whether all that a sync was to bring is at its target, under the digests that it has at the source."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from bench.ground import Unmeasurable
from bench.mirrorer import BELOW, Errand, short
from bench.placing import Placing
from bench.registry import Registry

REF_NAME = "org.opencontainers.image.ref.name"


def prove_arrived(errand: Errand) -> None:
    """Raise Unmeasurable for the first repository whose tags are not the source's."""
    for repository in errand.repositories:
        wanted = tags_of(errand.source, repository)
        if isinstance(errand.target, Registry):
            found = tags_of(errand.target, f"{BELOW}/{short(repository)}")
        elif (errand.target / short(repository) / "index.json").exists():
            found = _of_layout(errand.target / short(repository))
        else:
            found = _of_directories(errand.target, short(repository))
        if found != wanted:
            lost = sorted(wanted.items() - found.items())[:3]
            raise Unmeasurable(f"{repository} did not arrive as it is at the source: {lost}")


def tags_of(registry: Registry, repository: str) -> Mapping[str, str]:
    """Tag to digest."""
    with Placing(registry, repository) as placing:
        return {tag: placing.digest(tag) for tag in placing.tags()}


def _of_layout(layout: Path) -> Mapping[str, str]:
    entries = json.loads((layout / "index.json").read_text())["manifests"]
    return {entry["annotations"][REF_NAME]: entry["digest"] for entry in entries if REF_NAME in entry["annotations"]}


def _of_directories(folder: Path, name: str) -> Mapping[str, str]:
    """skopeo's `dir:` layout: one directory a tag, the root document as manifest.json."""
    found = {}
    for path in folder.glob(f"{name}:*/manifest.json"):
        tag = path.parent.name.rpartition(":")[2]
        found[tag] = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    return found
