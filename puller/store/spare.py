"""Spare: a file that is given up when the disk is full, so that something can be removed even then.

To take a name away means to write a new index.json, and a disk without a free block has no room for it.
"""

import os
from contextlib import suppress
from typing import Final

from puller.store.files import Files
from puller.store.layout import Layout

SIZE: Final = 1 << 20  # bytes: a new index of some thousands of names, and a few directory blocks
PLENTY: Final = 64 << 20  # free bytes at which a spare is set aside; a small disk has none to give


def set_aside(files: Files, layout: Layout) -> None:
    """See that there is a spare, where the disk has plenty. What fails is left for another time."""
    with suppress(OSError):
        if files.look(layout.spare) is None and files.free(layout.root) >= PLENTY:
            _write(files, layout)


def give_up(files: Files, layout: Layout) -> bool:
    """Remove the spare if the disk has less than its size free; whether it was there."""
    return files.free(layout.root) < SIZE and files.remove(layout.spare)


def _write(files: Files, layout: Layout) -> None:
    fd = files.open(layout.spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        files.allocate(fd, SIZE)
    except OSError:
        files.remove(layout.spare)
        raise
    finally:
        files.close(fd)
