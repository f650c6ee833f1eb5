"""puller: pull, verify and mirror container images. Names are loaded on first use, so that starting costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from puller.errors import PullerError as PullerError
    from puller.model.digest import Digest as Digest
    from puller.model.platform import Platform as Platform
    from puller.model.reference import Reference as Reference
    from puller.ops.pull import pull as pull
    from puller.ops.pulling.lenders import lenders as lenders
    from puller.ops.pulling.plan import Depth as Depth
    from puller.ops.pulling.plan import Wish as Wish
    from puller.ops.unpacking.shelves import shelves as shelves
    from puller.registry.client import RegistryClient as RegistryClient
    from puller.store.disk import DiskStore as DiskStore
    from puller.store.memory import MemoryStore as MemoryStore

    __version__: str

_HOMES = {
    "Depth": "puller.ops.pulling.plan",
    "Digest": "puller.model.digest",
    "DiskStore": "puller.store.disk",
    "MemoryStore": "puller.store.memory",
    "Platform": "puller.model.platform",
    "PullerError": "puller.errors",
    "Reference": "puller.model.reference",
    "RegistryClient": "puller.registry.client",
    "Wish": "puller.ops.pulling.plan",
    "lenders": "puller.ops.pulling.lenders",
    "pull": "puller.ops.pull",
    "shelves": "puller.ops.unpacking.shelves",
}

__all__ = [
    "Depth",
    "Digest",
    "DiskStore",
    "MemoryStore",
    "Platform",
    "PullerError",
    "Reference",
    "RegistryClient",
    "Wish",
    "__version__",
    "lenders",
    "pull",
    "shelves",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("puller.version").VERSION
    if name not in _HOMES:
        raise AttributeError(f"module 'puller' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
