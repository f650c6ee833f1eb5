"""export: the whole tree of an image as one archive, the same bytes whoever makes it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from anyio import to_thread

from puller.model.alteration import Alteration
from puller.model.text import printable
from puller.ops.pulling.ledger import Ledger
from puller.ops.pulling.watch import stop_when_cancelled
from puller.ops.unpacking.trees import Tree, strata_of
from puller.rootfs.pack import pack_tree


async def export(image: Tree, write: Callable[[bytes], object], ledger: Ledger) -> int:
    """Write the tree of `image` as an uncompressed tar archive, in chunks of about 1 MiB; how many bytes it has.

    Owners, devices and times are those of the layers, also where the tree itself cannot hold them. `write` is called in
    a worker thread. Raises StoreError, and what `write` raises.
    """
    left_out: list[Alteration] = []

    def work() -> int:
        return sum(_written(chunk, write) for chunk in _chunks(pack_tree(strata, told=left_out.append)))

    with ExitStack() as stack:
        strata = await strata_of(image, stack)
        size = await to_thread.run_sync(work)
    for one in left_out:
        ledger.warn(f"left out of the archive: /{printable(one.path.decode(errors='backslashreplace'))}, {one.reason}")
    return size


def _chunks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        stop_when_cancelled()
        yield chunk


def _written(chunk: bytes, write: Callable[[bytes], object]) -> int:
    write(chunk)
    return len(chunk)
