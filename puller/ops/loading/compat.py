"""How Docker 1.9 loaded an archive of the old format, kept for comparison (LEGACY.md d.7): folders need not be called
by their images' IDs, names come as they are, the first error ends it, and what was registered until then stays.

What it would have crashed on, or waited for without end, is an error here.
"""

from collections.abc import Iterable

from puller.archive.opened import Archive
from puller.archive.read_graph import Folder
from puller.errors import InvalidArchive, InvalidManifest, LimitExceeded, PullerError
from puller.legacy import tarball
from puller.legacy.v1image import V1Image, validate_id
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.places import full_name
from puller.ops.loading.graph import GraphLoading
from puller.ops.loading.news import Hear, Landed, renamed


async def load_as_docker(archive: Archive, graph: Graph, hear: Hear) -> list[Landed]:
    """Load it. Raises in the original's words."""
    ids = await graph.run(graph.images.ids)
    folders = [name for name in archive.members.folders() if not _is_excluded(name, ids)]
    with GraphLoading(graph, archive, hear) as loading:
        for name in folders:
            await _recursive(name, folders, archive, graph, loading)
    if tarball.REPOSITORIES not in archive.members:
        return []
    raw = await graph.run(lambda: archive.read(tarball.REPOSITORIES))
    landed = []
    for repository, ref, image in tarball.repositories_as_docker(raw):
        async with graph.naming():
            old = await graph.run(graph.tags.tag, repository, ref, image)
        if old is not None:
            hear(renamed(f"{repository}:{ref}", old))
        found = await graph.run(graph.tags.get, repository, ref or "latest")
        landed.append(Landed(full_name((repository, ref)), found or image, "graph"))
    return landed


def _is_excluded(name: str, ids: Iterable[str]) -> bool:
    """The original left out whatever begins with the ID of an image that it had."""
    return any(name.startswith(image_id) for image_id in ids)


async def _recursive(name: str, folders: list[str], archive: Archive, graph: Graph, loading: GraphLoading) -> None:
    """The image in the folder `name`, after the one it stands on; without recursion."""
    line: list[tuple[str, Folder]] = []
    while not await _is_here(name, graph):
        folder = await graph.run(_read, archive, name, name in folders)
        image_id = folder.image.id
        if any(image_id == known.image.id for _, known in line):
            raise InvalidManifest("an image is its own ancestor", got=image_id)
        if len(line) >= tarball.MAX_DEPTH:
            raise LimitExceeded("too many images above one another", wanted=f"at most {tarball.MAX_DEPTH}")
        line.append((image_id, folder))
        name = folder.image.parent
        if not name:
            break
    for image_id, folder in reversed(line):
        await loading.register(image_id, folder)


async def _is_here(name: str, graph: Graph) -> bool:
    try:
        await graph.run(graph.tags.lookup, name)
    except PullerError:
        return False
    return True


def _read(archive: Archive, name: str, is_there: bool) -> Folder:
    json, layer = f"{name}/{tarball.JSON}", f"{name}/{tarball.LAYER}"
    for member in (json, layer):
        if not is_there or member not in archive.members:
            raise InvalidArchive(f"open {member}: no such file or directory")
    image = V1Image.decode(archive.read(json))
    validate_id(image.id)
    return Folder(image, archive.members.file(layer))
