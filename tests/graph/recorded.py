"""What the original's graph did, and graphs to hold to it: see tests/golden/README.md."""

import base64
import functools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio

from puller.contracts.graph import GraphDriver
from puller.contracts.layers import LayerBlob
from puller.errors import PullerError
from puller.graph.graph import DiskGraph
from puller.graph.tags import DiskTagStore
from puller.ops.graphs.graph import Graph
from puller.store.disk import DiskStore
from tests.recorded import contents

T = TypeVar("T")


@functools.cache
def stories() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(contents("graph.tar.xz")["graph.json"])["cases"]
    return found


def story(name: str) -> dict[str, Any]:
    return next(case for case in stories() if case["name"] == name)


def golden(name: str) -> bytes:
    """A file of the recording: `graph/layer0.tar.gz`."""
    return contents("graph.tar.xz")[name]


def from_base64(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def quiet(_: int) -> None:
    """A listener that lets everything pass."""


@contextmanager
def layer(content: bytes, compression: str | None = None) -> Iterator[LayerBlob]:
    """An open blob of these bytes."""
    fd = os.memfd_create("layer")
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(content)
        yield LayerBlob(fd, compression, None)
    finally:
        os.close(fd)


async def graph_over(root: Path, driver: GraphDriver, *, store: Path | None = None) -> Graph:
    """A Graph at `root` with this driver, not synced to the disk; its store lies at `store`, beside it by default."""
    images = DiskGraph(root, driver, durable=False)
    tags = DiskTagStore(root / "repositories-vfs", images, durable=False)
    kept = await DiskStore.open(store or root.with_name(f"{root.name}-store"), durable=False)
    return Graph(images, tags, kept, anyio.CapacityLimiter(4))


def sentence(function: Callable[[], object]) -> str | None:
    """What an action is refused with; None where it is not."""
    try:
        function()
    except PullerError as error:
        return error.what
    return None
