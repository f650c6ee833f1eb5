"""Asking: the kinds of requests that a fault may meet, and a registry that answers them when all is well."""

from collections.abc import Awaitable, Callable
from typing import Literal

import pytest

from puller.model.mediatype import OCI_MANIFEST
from puller.registry.repository import Repository
from testregistry import TestRegistry
from tests.registry.scene import LARGE, MANIFEST, MANIFEST_DESCRIPTOR, SMALL, described, fetched, reference

BLOBS = pytest.mark.parametrize("blob", [SMALL, LARGE], ids=["small", "large"])
Kind = Literal["manifest", "blob", "tags", "token"]
Ask = Callable[[TestRegistry, Repository], Awaitable[None]]


async def ask_tag(registry: TestRegistry, repository: Repository) -> None:
    assert await repository.resolve(reference(registry, "app:1")) == MANIFEST_DESCRIPTOR


async def ask_manifest(registry: TestRegistry, repository: Repository) -> None:
    assert await fetched(repository, MANIFEST_DESCRIPTOR) == MANIFEST


async def ask_blob(registry: TestRegistry, repository: Repository) -> None:
    assert await fetched(repository, described(SMALL)) == SMALL


async def ask_tags(registry: TestRegistry, repository: Repository) -> None:
    assert [tag async for tag in repository.tags()] == ["1"]


# What is asked for, and which of the registry's endpoints is at fault.
_DIRECT = {
    "tag": (ask_tag, "manifest"),
    "manifest": (ask_manifest, "manifest"),
    "blob": (ask_blob, "blob"),
    "tags": (ask_tags, "tags"),
}
_ALL = _DIRECT | {"token": (ask_blob, "token")}
DIRECT_ROWS = pytest.mark.parametrize(("ask", "kind"), list(_DIRECT.values()), ids=list(_DIRECT))
ROWS = pytest.mark.parametrize(("ask", "kind"), list(_ALL.values()), ids=list(_ALL))


def fill(registry: TestRegistry) -> None:
    registry.add_blob("app", SMALL)
    registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")


async def ask_pinned(registry: TestRegistry, repository: Repository) -> None:
    pinned = reference(registry, f"app@{MANIFEST_DESCRIPTOR.digest}")
    assert await repository.resolve(pinned) == MANIFEST_DESCRIPTOR


DOCUMENTS = pytest.mark.parametrize(
    ("ask", "kind"),
    [(ask_manifest, "manifest"), (ask_pinned, "manifest"), (ask_tags, "tags"), (ask_manifest, "token")],
    ids=["manifest", "pinned", "tags", "token"],
)
