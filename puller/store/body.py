"""StoredBody: a stored blob as a stream of chunks."""

from collections.abc import AsyncIterator

from puller.model.report import Origin
from puller.store.files import Files
from puller.store.worker import Worker
from puller.stream.sink import Chunk

CHUNK = 1 << 20
ORIGIN = Origin("store")


class StoredBody:
    """Iterate once, from `offset` to the end. A chunk is valid until the next one is asked for."""

    def __init__(self, files: Files, worker: Worker, fd: int, offset: int) -> None:
        self._files = files
        self._worker = worker
        self._fd = fd
        self._offset = offset

    @property
    def origin(self) -> Origin:
        """This store."""
        return ORIGIN

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        buffer = memoryview(bytearray(CHUNK))
        while length := await self._worker.run(self._files.read_into, self._fd, buffer, self._offset):
            self._offset += length
            yield buffer[:length]
