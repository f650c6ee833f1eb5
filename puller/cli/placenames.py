"""Placenames: what places of images, and images there, are called before people.

Reports, plans and events have the texts that `ops.copying.places` reads, in which a store has its directory before the
repository: `store:/srv/store#docker.io/library/app`.
"""

from puller.model.text import printable


def named(place: str, name: str) -> str:
    """A tag, or a digest, of a place."""
    return f"{place}@{name}" if ":" in name else f"{place}:{name}"


def placename(text: str) -> str:
    """A place, or an image there, as it is typed: `store:docker.io/library/app:1`; it can be shown to a terminal.

    Of a store in another directory, which is no part of a name but an option: `docker.io/library/app:1 in store:/srv`.
    """
    folder, mark, name = text.removeprefix("store:").rpartition("#")
    if not (mark and text.startswith("store:")):
        return printable(text, limit=2000)
    return printable(f"{name} in store:{folder}" if folder else f"store:{name}", limit=2000)


def shown(place: str, name: str) -> str:
    """A tag, or a digest, of a place, as `placename` has it."""
    return placename(named(place, name))
