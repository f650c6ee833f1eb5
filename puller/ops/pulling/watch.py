"""Watchers: what looks at a blob while it is written, and may refuse it before it exists.

The digest is judged first. A wrong byte usually breaks the inflater or the JSON reader long before the last byte is
hashed; so what they say is kept until the digest has been found right, and a corrupt body is reported as what it is.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from anyio import from_thread

from puller.errors import DiffIDMismatch, InvalidManifest, PullerError
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.facts import Facts
from puller.stream.layer import LayerReader
from puller.stream.sink import Chunk

T = TypeVar("T")


class DocumentWatch(Generic[T]):
    """Gathers a small document and decodes it."""

    def __init__(self, decode: Callable[[bytes], T], *, what: str, limit: int = MAX_BYTES) -> None:
        self._decode = decode
        self._what = what
        self._limit = limit
        self._raw = bytearray()
        self._value: list[T] = []

    def write(self, chunk: Chunk, /) -> None:
        if len(self._raw) + len(chunk) > self._limit:
            got = f"{len(self._raw) + len(chunk)} bytes or more"
            raise InvalidManifest(f"{self._what} is too large", wanted=f"at most {self._limit} bytes", got=got)
        self._raw += chunk

    def finish(self) -> None:
        self._value = [self._decode(bytes(self._raw))]

    def decoded(self) -> T:
        """The document; to be asked for once the blob is committed."""
        return self._value[0]


class LayerWatch:
    """Reads a layer for its facts and holds its diff ID to the config's; `facts` are whole after `finish`."""

    def __init__(self, reader: LayerReader, *, expected: Digest | None) -> None:
        self._reader = reader
        self._expected = expected
        self._failure: PullerError | None = None

    def write(self, chunk: Chunk, /) -> None:
        if self._failure is not None:
            return
        try:
            self._reader.write(chunk)
        except PullerError as error:
            self._failure = error

    def finish(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._reader.finish()
        check_diff_id(self._expected, self.facts)

    @property
    def facts(self) -> Facts:
        """What the layer proved to be."""
        return self._reader.facts


def stop_when_cancelled() -> None:
    """Raise the cancellation of the task that waits for this worker thread; do nothing elsewhere.

    A few kilobytes may unpack to gigabytes within one hop; without this they would hold up Ctrl-C (RELIABILITY R7).
    """
    with suppress(RuntimeError):
        from_thread.check_cancelled()


def check_diff_id(expected: Digest | None, facts: Facts) -> None:
    """Raise DiffIDMismatch unless the layer is the one the config names."""
    if expected is not None and facts.diff_id is not None and facts.diff_id != expected:
        raise DiffIDMismatch(
            "the uncompressed layer is not the one the config names", wanted=expected, got=facts.diff_id
        )
