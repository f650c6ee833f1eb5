"""places: the names of graph images, repository and ref, as references and as text."""

from collections.abc import Iterable
from dataclasses import replace

from puller.errors import InvalidReference
from puller.model.reference import Reference


def place_of(reference: Reference) -> tuple[str, str]:
    """Where a graph has this name: repository, and tag or digest."""
    repository = replace(reference, tag=None, digest=None).familiar()
    return repository, str(reference.digest) if reference.digest is not None else reference.tag or "latest"


def place_text(place: tuple[str, str]) -> str:
    """A graph's name as people write it."""
    repository, ref = place
    return f"{repository}@{ref}" if ":" in ref else f"{repository}:{ref}"


def reference_at(place: tuple[str, str]) -> Reference | None:
    """The reference of a graph's name; None where it follows no grammar of today."""
    try:
        return Reference.parse(place_text(place))
    except InvalidReference:
        return None


def full_name(place: tuple[str, str]) -> str:
    """A graph's name as text: in the full form of references where it is one."""
    return str(reference_at(place) or place_text(place))


def full_names(places: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The same of several, in order."""
    return tuple(sorted(map(full_name, places)))
