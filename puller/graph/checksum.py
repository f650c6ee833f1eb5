"""What is computed of an image's layer when somebody first asks: its digest (LEGACY.md d.9)."""

from collections.abc import Callable, Iterator

from puller.contracts.graph import ImageGraph
from puller.contracts.layers import Told
from puller.stream.sink import Digester


def unheard(_: int) -> None:
    """For who does not want to hear how far it is."""


def layer_digest(graph: ImageGraph, image_id: str, told: Told = unheard) -> str:
    """The file `checksum` of an image; where there is none, the sha256 of the uncompressed layer, which is then kept.

    `told` hears how many bytes of the layer were hashed. The caller holds the lock of the image.
    """
    known = graph.get(image_id).checksum
    if known is not None:
        return known
    digester = Digester()
    for chunk in _told(graph.layer_tar(image_id), told):
        digester.write(chunk)
    checksum = str(digester.digest)
    graph.set_checksum(image_id, checksum)
    return checksum


def _told(chunks: Iterator[bytes], told: Callable[[int], None]) -> Iterator[bytes]:
    read = 0
    for chunk in chunks:
        read += len(chunk)
        told(read)
        yield chunk
