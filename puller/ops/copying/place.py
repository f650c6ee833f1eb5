"""What the text of a place says: `host/repository`, `oci:/directory`, `store:DIR#host/repository`, `oci-archive:/file`,
`docker-archive:/file`.
"""

from typing import Final

from puller.model.reference import Reference

_ANY: Final = Reference("localhost", "any")  # where names are tags alone, they mean the same in every repository
_KINDS: Final = ("oci:", "store:", "oci-archive:", "docker-archive:")


def repository_of(place: str) -> Reference:
    """The repository that names at `place` are of. Raises InvalidReference."""
    if not place.startswith(_KINDS):
        return Reference.parse(place)
    name = place.rpartition("#")[2] if place.startswith("store:") else ""
    return Reference.parse(name) if name else _ANY


def registry_of(place: str) -> str | None:
    """The registry of `host/repository`; None for all other places."""
    return None if place.startswith(_KINDS) else place.partition("/")[0]
