"""Glimpse: names and IDs of a store and its image graph, as they are seen in passing, for completing words.

Nothing is locked, made or mended, and what cannot be read is not there: whoever completes a word asked for no errors.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from puller.errors import PullerError
from puller.model.digest import Digest
from puller.model.document import load_document
from puller.model.reference import Reference

_LIMIT = 8 << 20  # bytes of a list of names: tens of thousands of them
_MANIFEST = 1 << 20
_MOST = 256  # manifests that are read for IDs: some 20 ms
_REF_NAME = "org.opencontainers.image.ref.name"
_DRIVERS = ("vfs", "overlay", "aufs")  # those whose graphs can be read here
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def names(store: Path, graph: Path | None) -> list[Reference]:
    """What the images of a store and of its graph are called, in order.

    Only what is a reference and leads back to the image: other tools write other things there, and a name that holds
    more than references do would be part of somebody's command line (THREATS C22).
    """
    found = {reference for _, reference in _entries(store)}
    return sorted(found | set(_graph_names(graph or store)))


def ids(store: Path, graph: Path | None) -> dict[str, str]:
    """The IDs of images, 64 hex digits, each with a name that leads to it; empty where there is none."""
    found: dict[str, str] = {}
    folder = (graph or store) / "graph"
    with suppress(OSError):
        found |= dict.fromkeys((path.name for path in folder.iterdir() if _is_id(path.name)), "")
    seen: set[Digest] = set()
    for digest, reference in _entries(store):
        for image_id in _image_ids(store, digest, seen, nesting=1):
            found[image_id] = reference.familiar()
    return found


def _entries(store: Path) -> list[tuple[Digest, Reference]]:
    """What index.json names, as far as both are what they should be."""
    found = []
    for entry in _list(_document(store / "index.json", _LIMIT).get("manifests")):
        annotations = entry.get("annotations")
        name = annotations.get(_REF_NAME) if isinstance(annotations, dict) else None
        with suppress(PullerError):
            digest = Digest.parse(str(entry.get("digest")))
            reference = Reference.parse(str(name)).tagged()
            if name in (str(reference), reference.familiar()):
                found.append((digest, reference))
    return found


def _graph_names(root: Path) -> Iterator[Reference]:
    for driver in _DRIVERS:
        repositories = _document(root / f"repositories-{driver}", _LIMIT).get("Repositories")
        for repository, held in repositories.items() if isinstance(repositories, dict) else ():
            for ref in held if isinstance(held, dict) else ():
                with suppress(PullerError):
                    yield Reference.parse(f"{repository}{'@' if ':' in ref else ':'}{ref}")


def _image_ids(store: Path, digest: Digest, seen: set[Digest], *, nesting: int) -> Iterator[str]:
    """Of a manifest, or of those in an index; each is read once, whoever names it however often."""
    if digest in seen or len(seen) >= _MOST:
        return
    seen.add(digest)
    document = _document(store / "blobs" / digest.algorithm / digest.hex, _MANIFEST)
    config = document.get("config")
    if isinstance(config, dict):
        with suppress(PullerError):
            yield Digest.parse(str(config.get("digest"))).hex
    for entry in _list(document.get("manifests"))[:_MOST] if nesting else ():
        with suppress(PullerError):
            inner = Digest.parse(str(entry.get("digest")))
            yield from _image_ids(store, inner, seen, nesting=nesting - 1)


def _document(path: Path, limit: int) -> dict[str, Any]:
    """A JSON object in a regular file; an empty one where there is none."""
    with suppress(OSError, PullerError):
        fd = os.open(path, _FLAGS)
        with os.fdopen(fd, "rb") as file:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return load_document(file.read(limit + 1), what="document", limit=limit)
    return {}


def _list(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _is_id(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")
