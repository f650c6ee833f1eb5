"""graphcheck: an image graph, or some images of it, held against itself. Nothing found there makes it fail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from puller.contracts.graph import GraphImage
from puller.errors import ContentCorrupt, ContentMissing, InputError
from puller.legacy.imageid import PREFIX, strong_id
from puller.legacy.reuse import probe
from puller.legacy.v1image import V1Image
from puller.ops.graphs.finding import GraphFinding, Kind
from puller.ops.graphs.forest import Forest, forest
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.held import held
from puller.ops.graphs.layercheck import check_layer, checksum_trouble
from puller.ops.graphs.trees import folders, stray_trees, tree_path
from puller.ops.tasks import apart
from puller.store.gc import Collectable

Told: TypeAlias = Callable[[str, int], None]

_PROBES: Final = 64  # more images under one strong ID than any graph has


@dataclass(frozen=True, slots=True)
class Checked:
    """How many images were looked at, and how many bytes of their layers were read; what is wrong, by image.

    `remarks` are what could not be asked, by image: nothing is wrong there.
    """

    images: int
    size: int
    findings: tuple[GraphFinding, ...]
    remarks: tuple[tuple[str, str], ...]


def untold(image_id: str, size: int) -> None:
    """Nobody listens."""


async def check(
    graph: Graph,
    store: Collectable,
    image_ids: Sequence[str] | None = None,
    *,
    disk: bool = False,
    tarsum: bool = False,
    told: Told = untold,
) -> Checked:
    """Look at these images and all below them, or at the whole graph: files, IDs, parents, trees, names.

    `disk`: every layer is put together again and compared with its checksum where that can be. `tarsum`: tarsum.v1 of
    every layer is computed, compared and kept. `told` hears of each layer that was read, with its bytes. Raises
    ContentCorrupt for names that cannot be read, StoreError where the disk fails.
    """
    return await apart(lambda: _checked(graph, store, image_ids, disk=disk, tarsum=tarsum, told=told))


async def _checked(
    graph: Graph, store: Collectable, image_ids: Sequence[str] | None, *, disk: bool, tarsum: bool, told: Told
) -> Checked:
    grown = await forest(graph)
    checking = _Checking(graph, grown)
    wanted = [*grown.images, *grown.damaged] if image_ids is None else checking.lines(image_ids)
    for image_id in wanted:
        checking.look(image_id)
    if image_ids is None:
        await graph.run(checking.look_around)
    size = 0
    if disk or tarsum:
        for image_id in wanted:
            size += await _read(checking, store, image_id, disk=disk, tarsum=tarsum, told=told)
    findings = tuple(sorted(checking.findings, key=lambda found: (found.image_id, found.kind)))
    return Checked(len(wanted), size, findings, tuple(sorted(checking.remarks)))


async def _read(
    checking: "_Checking", store: Collectable, image_id: str, *, disk: bool, tarsum: bool, told: Told
) -> int:
    graph = checking.graph
    if image_id not in checking.grown.images:
        return 0
    async with held(graph, [image_id]):
        try:
            image = await graph.run(graph.images.get, image_id)  # as it is now, and stays
        except (ContentMissing, ContentCorrupt):
            return 0
        result = await check_layer(image, graph, store, disk=disk, tarsum=tarsum)
    for kind, detail in result.wrong:
        checking.find(kind, image_id, detail)
    if result.remark:
        checking.remarks.append((image_id, result.remark))
    told(image_id, result.size)
    return result.size


class _Checking:
    def __init__(self, graph: Graph, grown: Forest) -> None:
        self.graph = graph
        self.grown = grown
        self.findings: list[GraphFinding] = []
        self.remarks: list[tuple[str, str]] = []

    def find(self, kind: Kind, image_id: str, detail: str) -> None:
        self.findings.append(GraphFinding(kind, image_id, self.grown.names.get(image_id, ()), detail))

    def lines(self, image_ids: Sequence[str]) -> list[str]:
        """These images and all below them, each once; damaged ones end a line."""
        found: dict[str, None] = {}
        for image_id in image_ids:
            line = [image.image_id for image in self.grown.line(image_id)] or [image_id]
            found |= dict.fromkeys(line)
            last = self.grown.images.get(line[-1])
            if last is not None and last.parent in self.grown.damaged:
                found[last.parent] = None
        return list(found)

    def look(self, image_id: str) -> None:
        """At one image, without reading its layer."""
        damage, image = self.grown.damaged.get(image_id), self.grown.images.get(image_id)
        if damage is not None:
            self.find("damaged", image_id, str(damage))
        if image is None:
            if damage is None:
                self.find("unknown", image_id, "there is no such image")
            return
        self._look_down(image)
        trouble = _misnamed(image)
        if trouble is not None:
            self.find("misnamed", image_id, trouble)
        trouble = checksum_trouble(image.checksum)
        if trouble is not None:
            self.find("checksum", image_id, trouble)

    def _look_down(self, image: GraphImage) -> None:
        line = self.grown.line(image.image_id)
        if line[-1].parent == image.image_id:
            self.find("cycle", image.image_id, f"it is its own ancestor, {len(line)} down")
        elif image.parent and image.parent not in self.grown.images and image.parent not in self.grown.damaged:
            self.find("dangling", image.image_id, f"its parent {image.parent} is not here")

    def look_around(self) -> None:
        """At what is no image though it should be one. Blocking."""
        known = {*self.grown.images, *self.grown.damaged}
        treeless = [image_id for image_id in folders(self.graph) if image_id not in known]
        for image_id in treeless:
            self.find("treeless", image_id, f"there is no tree at {tree_path(self.graph, image_id)}")
        for image_id in stray_trees(self.graph):
            self.find("stray", image_id, f"a tree without an image: {tree_path(self.graph, image_id)}")
        for image_id in self.grown.names.keys() - known - set(treeless):
            self.find("unknown", image_id, "a name stands for it, and there is no such image")


def _misnamed(image: GraphImage) -> str | None:
    """What is wrong with the ID of an image that was pulled by a manifest: only such a config is what the ID follows
    from. Another may stand under the ID itself, and then the ID is probed (LEGACY.md c.7).
    """
    try:
        config = V1Image.decode_stream(image.config)
    except InputError as error:  # changed since it was read
        return error.what
    if config.id or not config.layer_id:
        return None
    strong = strong_id(image.config).removeprefix(PREFIX)
    if image.image_id in islice(probe(strong), _PROBES):
        return None
    return f"its config gives the ID {strong}"
