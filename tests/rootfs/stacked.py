"""Layers put on the shelf of a driver, from bytes."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from puller.contracts.layers import Driver, LayerBlob, Unpacked
from puller.model.digest import Digest
from tests.rootfs.jobs import quiet


@contextmanager
def blob_of(archive: bytes, *, diff_id: Digest | None = None) -> Iterator[LayerBlob]:
    """The archive as a verified blob."""
    fd = os.memfd_create("blob")
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(archive)
        yield LayerBlob(fd, None, diff_id or Digest.of(archive))
    finally:
        os.close(fd)


def name_of(archives: Sequence[bytes]) -> str:
    """A name for the uppermost of these layers, as different as they are."""
    return Digest.of(b"".join(Digest.of(archive).hex.encode() for archive in archives)).hex


def put(driver: Driver, archive: bytes, layer: str, parent: str | None = None) -> Unpacked:
    """One layer, unpacked and committed."""
    with blob_of(archive) as blob:
        return driver.commit(driver.unpack(layer, blob, quiet), parent, quiet)


def put_all(driver: Driver, archives: Sequence[bytes]) -> str:
    """A stack, base first; the name of the uppermost."""
    parent = None
    for number in range(1, len(archives) + 1):
        layer = name_of(archives[:number])
        put(driver, archives[number - 1], layer, parent)
        parent = layer
    assert parent is not None
    return parent
