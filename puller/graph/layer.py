"""The layer of an image: recorded as `tar-data.json.gz` when it is registered, and put together from it again."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from puller.contracts.layers import LayerBlob, Told
from puller.errors import ContentCorrupt, TruncatedArchive
from puller.graph import files
from puller.graph.record import TAR_DATA
from puller.stream.inflate import Inflate
from puller.stream.tarsplit import MAX_LINE, TarSplitRecorder, assemble

_CHUNK: Final = 1 << 20
_LEVEL: Final = 6  # as Go's gzip has it by default


def record_layer(folder: int, blob: LayerBlob, told: Told, *, durable: bool) -> int:
    """Write `tar-data.json.gz` into the open folder; what the sizes in the layer's headers come to.

    `told` hears, and may end it, once for each MiB. Raises OSError, and LayerError as the recorder and Inflate do.
    """
    with os.fdopen(files.created(folder, TAR_DATA), "wb") as file:
        packed = zlib.compressobj(_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # a gzip header without a time
        recorder = TarSplitRecorder(lambda line: _ignore(file.write(packed.compress(line))))
        inflate = Inflate(recorder, promised=blob.compression, pulse=lambda: told(_length(blob)))
        for chunk in _chunks(blob):
            told(_length(blob))
            inflate.write(chunk)
        inflate.finish()
        file.write(packed.flush())
        file.flush()
        if durable:
            os.fsync(file.fileno())
    return recorder.size


def layer_of(record: int, content: Callable[[bytes], int]) -> Iterator[bytes]:
    """The archive that the open `record` tells of, in chunks of about 1 MiB; `content` opens a file of it by name.

    Closes `record`. Raises ContentCorrupt for a record that is damaged, and for files that are not what they were.
    """
    with os.fdopen(record, "rb") as file, gzip.GzipFile(fileobj=file, mode="rb") as lines:
        yield from assemble(_lines(lines), lambda name: _file(content(name)))


def _lines(packed: gzip.GzipFile) -> Iterator[bytes]:
    try:
        while line := packed.readline(MAX_LINE + 1):
            yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ContentCorrupt(f"{TAR_DATA} is damaged", got=str(error)) from error


def _file(fd: int) -> Iterator[bytes]:
    with os.fdopen(fd, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _chunks(blob: LayerBlob) -> Iterator[bytes]:
    read = 0
    while blob.size is None or read < blob.size:
        most = _CHUNK if blob.size is None else min(_CHUNK, blob.size - read)
        chunk = os.pread(blob.fd, most, blob.start + read)
        if not chunk:
            break
        read += len(chunk)
        yield chunk
    if blob.size is not None and read < blob.size:
        raise TruncatedArchive("the file ends within this layer", wanted=f"{blob.size} bytes", got=read)


def _length(blob: LayerBlob) -> int:
    return os.fstat(blob.fd).st_size - blob.start if blob.size is None else blob.size


def _ignore(_: int) -> None:
    return
