"""What the registry holds: repositories with their blobs, manifests and tags, over a shelf of bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from testregistry.body import Body, BytesBody, read
from testregistry.shelf import Shelf

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A stored document: its bytes, the media type it was pushed under, and what its pusher said it refers to."""

    digest: str
    media_type: str
    raw: bytes
    subject: str | None = None


@dataclass(slots=True)
class Repository:
    """One repository's view: digests it may serve, and its tags. Content itself is shared between repositories."""

    name: str
    blobs: set[str] = field(default_factory=set)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def resolve(self, reference: str) -> Manifest | None:
        """Return the manifest a tag or digest names."""
        return self.manifests.get(self.tags.get(reference, reference))


class Storage:
    """All repositories. Records: `<repository>/_blobs/<digest>`, `_manifests/<digest>` (JSON), `_tags/<tag>`."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._repositories: dict[str, Repository] = {}
        self._lies: dict[tuple[str, str], Body] = {}
        for path, text in shelf.notes().items():
            self._recall(path, text)

    def __iter__(self) -> Iterator[Repository]:
        return iter(self._repositories.values())

    def find(self, name: str) -> Repository | None:
        return self._repositories.get(name)

    def repository(self, name: str) -> Repository:
        """Return a repository, made when it is new."""
        return self._repositories.setdefault(name, Repository(name))

    def blob(self, name: str, digest: str) -> Body | None:
        """Return the bytes of a blob (or manifest) as this repository serves them, lies included."""
        if (lie := self._lies.get((name, digest))) is not None:
            return lie
        repository = self.find(name)
        if repository is None or digest not in repository.blobs:
            return None
        return self.shelf.find(digest)

    def manifest(self, name: str, reference: str) -> tuple[Manifest, Body] | None:
        """Return the manifest a tag or digest names, and the bytes to serve for it."""
        repository = self.find(name)
        manifest = None if repository is None else repository.resolve(reference)
        if manifest is None:
            return None
        return manifest, self._lies.get((name, manifest.digest)) or BytesBody(manifest.raw)

    def add_blob(self, name: str, digest: str, body: Body) -> None:
        if self.shelf.find(digest) is None:
            self.shelf.keep(digest, body)
        self.link_blob(name, digest)

    def link_blob(self, name: str, digest: str) -> None:
        """Let a repository serve content that is already here."""
        self.repository(name).blobs.add(digest)
        self.shelf.note(f"{name}/_blobs/{digest}", "")

    def add_manifest(self, name: str, manifest: Manifest) -> None:
        if self.shelf.find(manifest.digest) is None:
            self.shelf.keep(manifest.digest, BytesBody(manifest.raw))
        self.repository(name).manifests[manifest.digest] = manifest
        record = {"mediaType": manifest.media_type, "subject": manifest.subject}
        self.shelf.note(f"{name}/_manifests/{manifest.digest}", json.dumps(record))

    def tag(self, name: str, tag: str, digest: str) -> None:
        self.repository(name).tags[tag] = digest
        self.shelf.note(f"{name}/_tags/{tag}", digest)

    def untag(self, name: str, tag: str) -> None:
        self.repository(name).tags.pop(tag, None)
        self.shelf.strike(f"{name}/_tags/{tag}")

    def drop_blob(self, name: str, digest: str) -> None:
        self.repository(name).blobs.discard(digest)
        self.shelf.strike(f"{name}/_blobs/{digest}")
        self._sweep(digest)

    def drop_manifest(self, name: str, digest: str) -> None:
        """Remove a manifest and every tag that points to it."""
        repository = self.repository(name)
        for tag in [tag for tag, target in repository.tags.items() if target == digest]:
            self.untag(name, tag)
        repository.manifests.pop(digest, None)
        self.shelf.strike(f"{name}/_manifests/{digest}")
        self._sweep(digest)

    def lie(self, name: str, digest: str, body: Body) -> None:
        """Serve these bytes under this digest from now on, as blob and as manifest."""
        self._lies[(name, digest)] = body

    def _sweep(self, digest: str) -> None:
        if not any(digest in repository.blobs or digest in repository.manifests for repository in self):
            self.shelf.forget(digest)

    def _recall(self, path: str, text: str) -> None:
        # A component of a repository name never starts with an underscore, so the last two parts are ours.
        name, kind, key = path.rsplit("/", 2)
        repository = self.repository(name)
        content = None if kind == "_tags" else self.shelf.find(key)
        if kind == "_tags":
            repository.tags[key] = text
        elif content is not None and kind == "_blobs":
            repository.blobs.add(key)
        elif content is not None:
            record = json.loads(text)
            manifest = Manifest(key, record["mediaType"], read(content), record["subject"])
            repository.manifests[key] = manifest
