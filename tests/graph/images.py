"""Small images for tests of the graph: legacy ones, as `docker build` made them, in a line of any length."""

import hashlib
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from puller.contracts.graph import GraphDriver, NewImage
from puller.graph.graph import DiskGraph
from puller.legacy.v1image import V1Image
from tests.graph.plainvfs import PlainVfs
from tests.graph.recorded import layer, quiet


def named(name: str) -> str:
    """An ID by a word."""
    return hashlib.sha256(name.encode()).hexdigest()


def archive(**files: str) -> bytes:
    """A layer with these files."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return raw.getvalue()


def v1_text(name: str, parent: str = "", comment: str = "") -> bytes:
    """The JSON of an image whose ID is made of a word, and whose parent's is."""
    below = f'"parent":"{named(parent)}",' if parent else ""
    return f'{{"id":"{named(name)}",{below}"comment":"{comment}","created":"2015-01-02T03:04:05Z"}}'.encode()


def new_image(name: str, parent: str = "", comment: str = "") -> NewImage:
    """The same, to be registered."""
    return NewImage(named(name), named(parent) if parent else "", image=V1Image.decode(v1_text(name, parent, comment)))


def graph_at(root: Path, driver: GraphDriver | None = None, *, durable: bool = False) -> DiskGraph:
    """A graph in an empty directory."""
    return DiskGraph(root, driver or PlainVfs(root), durable=durable)


def register(graph: DiskGraph, name: str, parent: str = "", content: bytes | None = None) -> str:
    """Register an image with a file of its name, or with these bytes as its layer; its ID."""
    with layer(archive(**{name: name * 3}) if content is None else content) as blob:
        return graph.register(new_image(name, parent), blob, quiet).image_id


def stack(graph: DiskGraph, names: Sequence[str]) -> list[str]:
    """Register a line of images, the base first; their IDs."""
    return [register(graph, name, below) for below, name in zip(["", *names], names, strict=False)]


def plant(root: Path, name: str, parent: str = "", **files: bytes) -> Path:
    """Put the folder of an image, and a tree, where Docker would have; more `files` into it. The folder."""
    folder = root / "graph" / named(name)
    folder.mkdir(parents=True)
    for file, content in {"json": v1_text(name, parent), "layersize": b"0", **files}.items():
        (folder / file).write_bytes(content)
    (root / "vfs" / "dir" / named(name)).mkdir(parents=True)
    return folder


def left_in(root: Path) -> list[str]:
    """What lies in `graph/_tmp`, and should not."""
    tmp = root / "graph" / "_tmp"
    return sorted(path.relative_to(tmp).as_posix() for path in tmp.rglob("*") if path != tmp / "locks")
