"""graphtrees: where in Docker's root the trees of images lie, and which trees nobody has."""

import re
from pathlib import Path
from typing import Final

from puller.errors import StoreError
from puller.ops.graphs.graph import Graph

# Of each driver: the directory that has one entry an image, and the tree within the entry.
_PLACES: Final = {"vfs": ("vfs/dir", ""), "overlay": ("overlay", "root"), "aufs": ("aufs/diff", "")}
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


def tree_path(graph: Graph, image_id: str) -> Path:
    """The directory with the files of an image: of aufs those of its own layer only."""
    folder, inner = _PLACES[graph.images.driver.name]
    return graph.place / folder / image_id / inner


def folders(graph: Graph) -> list[str]:
    """Every ID under which `graph/` has something, in order, an image or not. Blocking."""
    return _ids_in(graph.place / "graph")


def stray_trees(graph: Graph) -> list[str]:
    """IDs of trees that are no image's, no container's and no volume's, in order. Blocking."""
    folder, _ = _PLACES[graph.images.driver.name]
    owned = {one for name in ("graph", "containers", "volumes") for one in _ids_in(graph.place / name)}
    return [image_id for image_id in _ids_in(graph.place / folder) if image_id not in owned]


def _ids_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if _ID.fullmatch(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError("a directory of the image graph cannot be read", where=folder, got=error.strerror) from error
