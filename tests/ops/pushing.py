"""Pushes in stories: what is pushed where, and what the registry has then."""

import json
from typing import Any

import anyio

from puller.contracts.graph import NewImage
from puller.legacy.schema1 import SignedManifest, parse_signed_manifest
from puller.legacy.v1image import V1Image
from puller.model.push import PushReport
from puller.model.reference import Reference
from puller.ops.push import Manner, push
from puller.registry.repository import Repository
from testregistry import TestRegistry
from testregistry.layers import Layer
from tests.ops.old_world import OldStory


def open_repository(s: OldStory, reference: Reference, lender: Reference | None) -> Repository:
    """What a push is given to reach a registry by."""
    return s.story.client.repository(reference, mount_from=None if lender is None else lender.repository)


async def pushed(
    s: OldStory, text: str = "app:1", name: str | None = None, *, form: Any = None, sparse: bool = False
) -> PushReport:
    """Push the image that the story's registry calls `text`, or any other text with a colon or slash before it."""
    text = text.removeprefix("/") if text.startswith("/") else s.story.registry.name(text)
    target = None if name is None else s.story.reference(name)
    return await push(
        text,
        target,
        s.graph,
        lambda reference, lender: open_repository(s, reference, lender),
        Manner(form, sparse),
        limiter=anyio.CapacityLimiter(3),
        report=s.story.events.append,
    )


def outcomes(report: PushReport) -> list[tuple[str, str]]:
    """What became of every blob, in the order of their roles."""
    return sorted((blob.role, blob.outcome) for blob in report.blobs)


def uploads(registry: TestRegistry) -> int:
    """How many uploads were begun."""
    return registry.journal.count("POST", kind="upload")


def raw_manifest(registry: TestRegistry, name: str) -> bytes:
    """The manifest that a name has in the registry."""
    repository, _, tag = name.partition(":")
    found = registry.storage.manifest(repository, tag)
    assert found is not None
    return found[0].raw


def signed(registry: TestRegistry, name: str) -> SignedManifest:
    """The same, of schema 1."""
    return parse_signed_manifest(raw_manifest(registry, name), require_signature=True)


def modern(registry: TestRegistry, name: str) -> dict[str, Any]:
    """The same, of today."""
    document: dict[str, Any] = json.loads(raw_manifest(registry, name))
    return document


def blob(registry: TestRegistry, repository: str, digest: str) -> bytes:
    """A blob that the registry has."""
    found = registry.storage.blob(repository, digest)
    assert found is not None
    return b"".join(found.chunks())


def config_text(image_id: str, parent: str = "", **more: object) -> str:
    """The `json` of an image that was made here."""
    document = {
        "id": image_id,
        **({"parent": parent} if parent else {}),
        "created": "2015-10-12T00:00:00Z",
        "container_config": {"Cmd": ["/bin/sh -c make"]},
        "config": {"Cmd": ["/bin/true"]},
        "architecture": "amd64",
        "os": "linux",
        **more,
    }
    return json.dumps(document, separators=(",", ":"))


def made(s: OldStory, image_id: str, parent: str, layer: Layer | None) -> str:
    """An image as a load or an import registers it: no checksum."""
    if layer is not None:
        return s.register(config_text(image_id, parent), layer).image_id
    image = V1Image.decode(config_text(image_id, parent).encode())
    return s.graph.images.register(NewImage(image.id, parent, image=image), None, lambda _: None).image_id


async def named(s: OldStory, name: str, image_id: str) -> None:
    """Name a graph image as `app:1` of the story's registry."""
    repository, _, tag = s.story.registry.name(name).rpartition(":")
    async with s.graph.naming():
        s.graph.tags.tag(repository, tag, image_id)
