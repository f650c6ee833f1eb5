"""The old format of `docker save`: a folder for each image, named by its ID, and what its images are called.

IDs are kept as they come: nothing in such an archive proves them, no more than Docker did (LEGACY.md d.7).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from puller.archive.members import Member
from puller.archive.opened import Archive
from puller.errors import InvalidArchive
from puller.legacy import tarball
from puller.legacy.v1image import V1Image
from puller.model.reference import Reference
from puller.model.text import printable


@dataclass(frozen=True, slots=True)
class Folder:
    """One image: what its `json` says, and where its layer lies."""

    image: V1Image
    layer: Member


def image_folders(archive: Archive) -> list[str]:
    """The IDs of all images of the archive, in order. Raises InvalidArchive for an image in a folder that has none.

    A folder is an image's where it is called so, or holds what images are made of (THREATS A1, G4).
    """
    parts = (tarball.JSON, tarball.LAYER)
    found = []
    for name in archive.members.folders():
        if tarball.is_id(name):
            found.append(name)
        elif any(f"{name}/{part}" in archive.members for part in parts):
            raise InvalidArchive("an image's folder is not called by its ID", where=printable(name))
    return found


def read_folders(archive: Archive, image_ids: Iterable[str]) -> dict[str, Folder]:
    """These images. Raises InvalidManifest as `tarball.parse_image`; InvalidArchive where something is missing."""
    found: dict[str, Folder] = {}
    for image_id in image_ids:
        layer = archive.members.file(f"{image_id}/{tarball.LAYER}")
        raw = archive.read(f"{image_id}/{tarball.JSON}", limit=tarball.MAX_JSON)
        found[image_id] = Folder(tarball.parse_image(raw, image_id), layer)
    return found


def read_names(archive: Archive) -> dict[Reference, str]:
    """What `repositories` names; nothing where there is none. Raises as `tarball.parse_repositories`."""
    if tarball.REPOSITORIES not in archive.members:
        return {}
    return tarball.parse_repositories(archive.read(tarball.REPOSITORIES, limit=tarball.MAX_JSON))
