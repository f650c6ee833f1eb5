"""Places that have content by digest, for tests: layouts in directories, archives, and pulls that may use them."""

import os
from collections.abc import Sequence
from pathlib import Path

from puller.contracts.lending import Lender
from puller.model.platform import Platform
from puller.model.report import PullReport
from puller.ops.pull import pull
from puller.ops.pulling.lenders import lenders
from puller.ops.pulling.plan import Wish
from testregistry import images
from tests.archive.building import Part, layout, packed
from tests.ops.story import LARGE, Story

BIG = images.image(LARGE)


async def pulled(s: Story, places: Sequence[Lender], name: str = "app:1") -> PullReport:
    reference = s.reference(name)
    wish = Wish([Platform.parse("linux/amd64")])
    source = s.client.source(reference)
    return await pull(reference, source, s.store, wish, places=places, report=s.events.append)


async def pulled_from(s: Story, *paths: Path, name: str = "app:1") -> PullReport:
    async with lenders(paths, s.store.layout.ingests) as places:
        return await pulled(s, places, name)


def folder_of(path: Path, *roots: images.Image, leave_out: Sequence[str] = ()) -> Path:
    """An OCI image layout in a directory."""
    for name, raw in layout(*((root, "") for root in roots), leave_out=leave_out):
        assert isinstance(raw, bytes)
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(raw)
    return path


def archive_of(path: Path, parts: Sequence[Part]) -> Path:
    path.write_bytes(packed(parts))
    return path


def blob_in(place: Path, digest: str) -> Path:
    return place / "blobs" / digest.replace(":", "/")


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def open_files() -> int:
    """How many descriptors this process has."""
    return len([*Path("/proc/self/fd").iterdir()])
