"""Change: one path at which two trees differ. How differences are found is not said here."""

from dataclasses import dataclass
from enum import StrEnum

from puller.model.text import printable


class Kind(StrEnum):
    """What became of a path; the letters are Docker's."""

    ADDED = "A"
    MODIFIED = "C"
    DELETED = "D"


@dataclass(frozen=True, slots=True)
class Change:
    """`path` has no leading slash, `b""` is the root itself. Of what was deleted only the top is named.

    `differs` tells of a modified path what is not the same, in this order: type, content, size, target, device, mode,
    owner, mtime, xattrs, links; it is empty for the other kinds.
    """

    kind: Kind
    path: bytes
    differs: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As `docker diff` has it: `C /etc/passwd`."""
        return f"{self.kind} /{printable(self.path.decode(errors='backslashreplace'))}"
