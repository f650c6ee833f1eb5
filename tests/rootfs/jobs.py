"""Jobs made of bytes, and a look at the processes that do them. Standard library only: see gauntlet."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from puller.contracts.layers import LayerBlob
from puller.model.digest import Digest
from puller.rootfs.job import Job, Outcome, Unpacker


def quiet(read: int) -> None:
    """A listener that lets everything pass."""


@contextmanager
def job(
    base: Path, content: bytes, *, alone: bool = False, diff_id: Digest | None = None, compression: str | None = None
) -> Iterator[Job]:
    """A job to unpack `content` into `base`; its descriptors are closed again."""
    with ExitStack() as stack:
        fds = [os.open(base, os.O_RDONLY | os.O_DIRECTORY), os.memfd_create("blob"), os.memfd_create("sidecar")]
        for fd in fds:
            stack.callback(os.close, fd)
        root, blob, sidecar = fds
        with os.fdopen(os.dup(blob), "wb") as file:
            file.write(content)
        yield Job(root, LayerBlob(blob, compression, diff_id), sidecar, alone)


@contextmanager
def endless_job(base: Path) -> Iterator[Job]:
    """A job that works for half a minute or more: an empty archive with very much behind it."""
    with job(base, bytes(1024)) as found:
        os.ftruncate(found.blob.fd, 60 << 30)
        yield found


def unpacked(unpacker: Unpacker, base: Path, content: bytes, **more: object) -> Outcome:
    """Have it done."""
    with job(base, content, **more) as found:  # type: ignore[arg-type]  # checked where `job` takes them
        return unpacker.unpack(found, quiet)


def children(process: int) -> list[int]:
    """The processes that `process` started and that are not waited for yet."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == process:
            found.append(int(folder.name))
    return sorted(found)


def workers() -> list[int]:
    """The processes that do jobs of this process's crews: its children's children."""
    return [worker for child in children(os.getpid()) for worker in children(child)]


def look(told: Callable[[Path], None]) -> None:
    """Show `told` the folder under /proc of each of them that has not ended meanwhile."""
    for process in workers():
        with suppress(FileNotFoundError, ProcessLookupError):
            told(Path(f"/proc/{process}"))


def strike(number: int) -> None:
    """Send a signal to all of them."""
    for process in workers():
        with suppress(ProcessLookupError):
            os.kill(process, number)
