"""Seam for local places that may have content by digest, and are only read: other stores, image layouts, archives.

Nothing of what they say is believed: whoever borrows verifies.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from puller.model.descriptor import Descriptor


@dataclass(frozen=True, slots=True)
class Window:
    """`size` bytes of the open file `fd`, from `start` on."""

    fd: int
    start: int
    size: int


class Lender(Protocol):
    """One such place. Everything blocks."""

    @property
    def name(self) -> str:
        """What it is called in reports and warnings: `file:/path`."""
        ...

    def lent(self, wanted: Descriptor) -> AbstractContextManager[Window | None]:
        """What lies there under the digest of `wanted`, open as long as the block; None: nothing does.

        It has the size that `wanted` promises. Raises StoreError or LayerError for what is there and is of no use.
        """
        ...
