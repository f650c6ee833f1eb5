"""tarsum: the 2015 checksum of a tar archive, computed from its bytes."""

from collections.abc import Iterable

from puller.stream.inflate import Inflate
from puller.stream.sink import Chunk, Sink
from puller.stream.tarsum import Tarsum, TarsumSink


def tarsum_of(chunks: Iterable[Chunk], label: str, *, decompress: bool = False) -> str:
    """The sum as `label:hex`. `decompress`: the archive may be gzip or zstd.

    Raises InputError for an unknown label, and LayerError where the original fails or panics (LEGACY.md a.4, a.5).
    """
    tarsum = Tarsum.for_label(label)
    sink: Sink = TarsumSink(tarsum)
    if decompress:
        sink = Inflate(sink)
    for chunk in chunks:
        sink.write(chunk)
    sink.finish()
    return tarsum.sum()
