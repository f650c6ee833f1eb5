"""Record: what is kept beside an unpacked layer, as layer.json."""

import json
import os
import stat
from dataclasses import asdict, dataclass
from typing import Any, Final

from puller.errors import ContentCorrupt, PullerError
from puller.model.alteration import Altered
from puller.model.digest import Digest
from puller.model.document import load_document

KEPT: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # no planted pipe is waited for
_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """`parent` is the layer below. `size` is the content of its files in bytes, `unpacked_size` that of its archive.

    `opaque`: nothing of the layers below shows. `mark` is the attribute that its opaque directories have, `""` where
    whiteouts are not kept as marks.
    """

    parent: str | None
    diff_id: Digest
    entries: int
    size: int
    unpacked_size: int
    altered: tuple[Altered, ...] = ()
    opaque: bool = False
    mark: str = ""

    def encode(self) -> bytes:
        """As JSON."""
        members = {**asdict(self), "diff_id": str(self.diff_id)}
        return json.dumps(members, indent=1).encode() + b"\n"

    @classmethod
    def read(cls, fd: int) -> "Record":
        """From a file that was opened as KEPT says, and is closed. Raises ContentCorrupt as `decode`."""
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ContentCorrupt("the record of a layer is no file")
            return cls.decode(file.read(_LIMIT + 1))

    @classmethod
    def decode(cls, raw: bytes) -> "Record":
        """Raises ContentCorrupt for anything that `encode` did not write."""
        try:
            said = load_document(raw, what="the record of a layer", limit=_LIMIT)
            altered = tuple(_altered(**one) for one in said.pop("altered"))
            parent, diff_id = said.pop("parent"), Digest.parse(said.pop("diff_id"))
            numbers = {name: int(said.pop(name)) for name in ("entries", "size", "unpacked_size")}
            opaque, mark = bool(said.pop("opaque")), str(said.pop("mark"))
            return cls(
                None if parent is None else str(parent), diff_id, **numbers, altered=altered, opaque=opaque, mark=mark
            )
        except (PullerError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ContentCorrupt("the record of a layer is damaged", got=f"{type(error).__name__}: {error}") from error


def _altered(what: Any, reason: Any, count: Any, examples: Any) -> Altered:
    return Altered(str(what), str(reason), int(count), tuple(map(str, examples)))
