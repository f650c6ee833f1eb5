"""Unique prefixes of image IDs, as moby's pkg/truncindex found them (LEGACY.md d.2)."""

from collections.abc import Iterable

from puller.errors import ContentMissing, InvalidReference
from puller.legacy.gotext import shown


def unique(prefix: str, ids: Iterable[str]) -> str:
    """The one of `ids` that begins so. An ID that others begin with as well is ambiguous, as it was there.

    Raises ContentMissing, and InvalidReference for an empty prefix and for one of several, in the original's words.
    """
    if not prefix:
        raise InvalidReference("Prefix can't be empty")
    found = {name for name in ids if name.startswith(prefix)}
    if not found:
        raise ContentMissing(f"no such id: {shown(prefix)}")
    if len(found) > 1:
        raise InvalidReference("Multiple IDs found with provided prefix", got=prefix)
    return found.pop()
