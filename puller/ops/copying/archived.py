"""Archives of images as places that images are copied from and to: the two doors."""

import os
import stat
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias

from anyio import CancelScope, to_thread

from puller.archive.appearing import appearing
from puller.archive.growing import GrowingArchive
from puller.archive.opened import opened
from puller.archive.spool import RESERVE
from puller.errors import InvalidConfig, PullerError
from puller.model.reference import Reference
from puller.ops.copying.archivecontent import content_of
from puller.ops.copying.archivesource import ArchiveSource
from puller.ops.copying.dockertarget import DockerArchiveTarget
from puller.ops.copying.ocitarget import OciArchiveTarget
from puller.ops.pulling.watch import stop_when_cancelled
from puller.ops.saving.modernise import Form

# Where large temporary files go, as with skopeo (containers/image, internal/tmpdir).
_ROOMY: Final = Path("/var/tmp")  # noqa: S108  # what is made there has no name
_OCI: Final = "oci-archive:"

ArchiveTarget: TypeAlias = OciArchiveTarget | DockerArchiveTarget


@asynccontextmanager
async def open_archive_source(
    path: Path, place: str, *, made: Form = "docker", folder: Path | None = None
) -> AsyncIterator[ArchiveSource]:
    """The archive at `path` as an ImageSource, until the block ends. `place` says which kind it is: `oci-archive:/file`
    is an image layout, `docker-archive:/file` of `docker save` (old or new), podman or skopeo.

    `made`: of which kind the manifests are that archives of Docker's lack. A compressed archive is unpacked into a file
    without a name in `folder`, else beside it, else in /var/tmp. Raises InvalidConfig for what is no such archive,
    LayerError for a broken one, StoreError where there is no room.
    """
    stack = ExitStack()
    try:
        yield await to_thread.run_sync(_opened, stack, path, place, made, folder or _roomy(path))
    finally:
        stack.close()


@asynccontextmanager
async def open_archive_target(
    path: Path,
    place: str,
    form: Form,
    *,
    repository: Reference | None = None,
    overwrite: bool = False,
    reserve: int = RESERVE,
) -> AsyncIterator[ArchiveTarget]:
    """A new archive as an ImageTarget: the file is at `path`, whole and on the disk, when the block ends well and an
    image was put, and not at all otherwise.

    Tags are those of `repository`; without one they are tags alone, which an archive of Docker's does not have: there
    images are put under whole names or none. `overwrite`: a file that is there is replaced. `reserve`: bytes that stay
    free on the disk. Raises InvalidConfig where the file cannot or must not be written, StoreError.
    """
    stack = ExitStack()
    try:
        file = await to_thread.run_sync(lambda: stack.enter_context(appearing(path, overwrite=overwrite)))
        archive = GrowingArchive(file.fd, place, reserve=reserve)
        stack.callback(archive.close)
        kind = OciArchiveTarget if form == "oci" else DockerArchiveTarget
        target = kind(place, archive, repository)
        yield target
        if not target.is_empty:
            await to_thread.run_sync(target.finish)
            with CancelScope(shield=True):  # it appears, or it does not: there is no half of it
                await to_thread.run_sync(file.appear)
    finally:
        stack.close()


def _opened(stack: ExitStack, path: Path, place: str, made: Form, folder: Path) -> ArchiveSource:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidConfig("the archive cannot be opened", where=place, got=error.strerror) from error
    stack.callback(os.close, fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise InvalidConfig("the archive is no regular file", where=place)
    try:
        archive = stack.enter_context(opened(fd, folder, pulse=stop_when_cancelled))
        form: Form = "oci" if place.startswith(_OCI) else "docker"
        content = content_of(archive, form=form, made=made, pulse=stop_when_cancelled)
    except PullerError as error:
        error.where = place if error.where is None else f"{place}: {error.where}"
        raise
    return ArchiveSource(place, archive, content, folder)


def _roomy(path: Path) -> Path:
    beside = path.absolute().parent
    return beside if os.access(beside, os.W_OK | os.X_OK) else _ROOMY
