"""Lenders: the local places that a pull may borrow from, opened by their paths."""

import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from anyio import to_thread

from puller.archive.lender import ArchiveLender
from puller.contracts.lending import Lender
from puller.errors import InvalidConfig
from puller.model.text import printable
from puller.ops.pulling.watch import stop_when_cancelled
from puller.store.lender import StoreLender

_LONGEST = 1000  # characters of a place's name in reports


@asynccontextmanager
async def lenders(paths: Sequence[Path], folder: Path) -> AsyncIterator[tuple[Lender, ...]]:
    """The places at `paths`, for as long as the block runs: directories with an OCI image layout, which all stores of
    this program are, and archives of images. Archives that are compressed are unpacked into `folder`, without a name.

    Raises InvalidConfig for what is neither, StoreError where there is no room.
    """
    with ExitStack() as stack:
        yield tuple([await to_thread.run_sync(_open, stack, path, folder) for path in paths])


def _open(stack: ExitStack, path: Path, folder: Path) -> Lender:
    name = printable(f"file:{path.absolute()}", limit=_LONGEST)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidConfig("the place cannot be read", where=name, got=error.strerror) from error
    stack.callback(os.close, fd)
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode):
        lender = StoreLender.open(path, name)
        stack.callback(lender.close)
        return lender
    if not stat.S_ISREG(mode):
        raise InvalidConfig("the place is neither a directory nor a regular file", where=name)
    return stack.enter_context(ArchiveLender.opened(fd, name, folder, pulse=stop_when_cancelled))
