"""Space: what the unfinished blobs of one store may still write, so that those begun together fit together."""

import threading

from puller.errors import NoSpace
from puller.model.digest import Digest


class Space:
    """Bytes that are spoken for. Other processes are not asked: `reserve`, which stays free, has to do for them."""

    def __init__(self, reserve: int) -> None:
        self._reserve = reserve
        self._claims: dict[Digest, int] = {}
        self._lock = threading.Lock()

    def claim(self, digest: Digest, size: int, *, free: int) -> None:
        """Speak for `size` bytes of `free`, all in bytes. Raises NoSpace where others have spoken for too many."""
        with self._lock:
            claimed = sum(self._claims.values())
            needed = size + claimed + self._reserve
            if free < needed:
                raise NoSpace(
                    "not enough space for this blob",
                    wanted=f"{needed} bytes, {self._reserve} of them in reserve, {claimed} for blobs under way",
                    got=f"{free} bytes free",
                    digest=digest,
                    hint="Free some space, or choose another store directory.",
                )
            self._claims[digest] = size

    def spend(self, digest: Digest, size: int) -> None:
        """So much of a claim has been written, and is missing from what the disk calls free."""
        with self._lock:
            if digest in self._claims:
                self._claims[digest] = max(0, self._claims[digest] - size)

    def release(self, digest: Digest) -> None:
        """Nothing more will be written of it."""
        with self._lock:
            self._claims.pop(digest, None)
