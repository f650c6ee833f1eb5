"""What a load will do, decided before anything is changed: which images are in an archive, what they are called, and
in which order they come. Everything here blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from puller.archive import read_docker, read_graph, read_oci
from puller.archive.content import ContentImage, Prover
from puller.archive.opened import Archive
from puller.archive.read_graph import Folder
from puller.contracts.graph import ImageGraph
from puller.errors import InvalidArchive, InvalidManifest
from puller.legacy import tarball
from puller.model.reference import Reference


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """`order`: graph images, each behind its parent. Those in `folders` are to be registered; the others are here
    already. `names`: what graph images are to be called. `tops`: those to report where no name tells of them.
    """

    order: Sequence[str] = ()
    folders: Mapping[str, Folder] = field(default_factory=dict)
    names: Mapping[Reference, str] = field(default_factory=dict)
    tops: Sequence[str] = ()
    content: Sequence[ContentImage] = ()


def plan_load(archive: Archive, graph: ImageGraph, prover: Prover) -> LoadPlan:
    """Read all documents of an archive of whatever kind, and prove its content.

    An archive with manifest.json is read by it, but for images whose configs say that they are of the old kind: these
    are what their folders say, and folders of no such image are made for old readers only. Raises InvalidManifest,
    InvalidArchive, InvalidReference, ContentMissing, VerificationError, LayerError, Unsupported.
    """
    if read_docker.is_docker(archive):
        return _docker(archive, graph, prover)
    if read_oci.is_layout(archive):
        content = read_oci.read_images(archive, prover)
        _check_names({}, content)
        return LoadPlan(content=content)
    image_ids = read_graph.image_folders(archive)
    if not image_ids:
        raise InvalidArchive(
            "not an archive of images", wanted=f"{tarball.MANIFEST}, {read_oci.INDEX} or a folder for each image"
        )
    names = read_graph.read_names(archive)
    return _graph(archive, graph, image_ids, names)


def _docker(archive: Archive, graph: ImageGraph, prover: Prover) -> LoadPlan:
    listed = read_docker.read_listed(archive)
    if not listed:
        raise InvalidArchive("the archive names no image", where=tarball.MANIFEST)
    old = [one.graph_id for one in listed if one.graph_id is not None]
    plan = LoadPlan()
    if old:
        names = {name: one.graph_id for one in listed if one.graph_id is not None for name in one.entry.names}
        for name, image_id in read_graph.read_names(archive).items():
            if names.setdefault(name, image_id) != image_id:
                raise InvalidManifest("one name for two images", where=name)
        plan = _graph(archive, graph, old, names)
    content = read_docker.read_images(archive, listed, prover)
    _check_names(plan.names, content)
    return LoadPlan(plan.order, plan.folders, plan.names, plan.tops, content)


def _graph(archive: Archive, graph: ImageGraph, wanted: Sequence[str], names: Mapping[Reference, str]) -> LoadPlan:
    """The plan for `wanted` and what they stand on. Names of folders that are not loaded are left out."""
    in_archive = set(read_graph.image_folders(archive))
    folders: dict[str, Folder] = {}
    parents: dict[str, str] = {}
    waiting = list(wanted)
    while waiting:
        image_id = waiting.pop()
        if image_id in parents:
            continue
        if image_id not in in_archive or graph.has(image_id):
            # Here already, as Docker has it: what the archive holds of it is not looked at.
            parents[image_id] = ""
            continue
        folders |= read_graph.read_folders(archive, [image_id])
        parents[image_id] = folders[image_id].image.parent
        if parents[image_id]:
            waiting.append(parents[image_id])
    outside = {image_id for image_id in parents if image_id not in folders}
    order = tarball.in_order(
        {image_id: parent for image_id, parent in parents.items() if image_id in folders}, graph.has
    )
    for name, image_id in names.items():
        if image_id not in in_archive:
            raise InvalidArchive("a name for an image that is not in the archive", where=name, got=image_id)
    kept = {name: image_id for name, image_id in names.items() if image_id in parents}
    return LoadPlan([*sorted(outside), *order], folders, kept, _tops(wanted, parents, graph, outside))


def _tops(wanted: Sequence[str], parents: Mapping[str, str], graph: ImageGraph, outside: set[str]) -> list[str]:
    """Those of `wanted` that no other image of the plan stands on."""
    below = set(parents.values()) | {graph.get(image_id).parent for image_id in outside if graph.has(image_id)}
    return [image_id for image_id in dict.fromkeys(wanted) if image_id not in below]


def _check_names(names: Mapping[Reference, str], content: Sequence[ContentImage]) -> None:
    """Refuse a name that the archive gives to two images. Raises InvalidManifest."""
    seen: dict[Reference, str] = dict(names)
    for image in content:
        for name in image.names:
            tarball.check_reserved(name)
            if seen.setdefault(name, str(image.root.digest)) != str(image.root.digest):
                raise InvalidManifest("one name for two images", where=name)
