"""ArchiveLender: an archive of images as a place to borrow blobs from.

What lies there is looked up by digest: in an image layout, and in archives of Docker since 25, by the name of the
member; in older ones of Docker a config is `<digest>.json`, a layer lies uncompressed under its diff ID (podman and
skopeo call it `<diff ID>.tar`), so it can stand for a blob that is that very tar archive and for no compressed one.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from puller.archive.members import Member
from puller.archive.opened import Archive, opened
from puller.archive.read_docker import is_docker, read_listed
from puller.archive.read_oci import blob_name, is_layout
from puller.contracts.lending import Window
from puller.errors import ContentCorrupt, InputError, InvalidConfig, LayerError, VerificationError
from puller.model.config import parse_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.stream.sink import Pulse, unwatched

_HINT = "Name an archive of docker save, podman, skopeo or an OCI image layout, or a directory of the latter."


class ArchiveLender:
    """A Lender; good for as long as `archive` is open."""

    def __init__(self, name: str, archive: Archive, layers: dict[Digest, str]) -> None:
        self.name = name
        self._archive = archive
        self._layers = layers  # by diff ID, which member is said to hold it

    @classmethod
    @contextmanager
    def opened(cls, source: int, name: str, folder: Path, *, pulse: Pulse = unwatched) -> Iterator[Self]:
        """The archive that the file `source` is; one that is compressed is unpacked into `folder`, without a name.

        Blocking. Raises InvalidConfig for what is no archive of images, StoreError where there is no room.
        """
        with ExitStack() as stack:
            try:
                archive = stack.enter_context(opened(source, folder, pulse=pulse))
            except (LayerError, InputError) as error:
                raise InvalidConfig("no archive of images", where=name, got=error.what, hint=_HINT) from error
            if not is_docker(archive) and not is_layout(archive):
                raise InvalidConfig("no archive of images", where=name, hint=_HINT)
            yield cls(name, archive, _layers_of(archive))

    @contextmanager
    def lent(self, wanted: Descriptor) -> Iterator[Window | None]:
        """See Lender."""
        member = self._member(wanted.digest)
        if member is None:
            yield None
            return
        if wanted.size not in (None, member.size):
            raise ContentCorrupt("of another size", wanted=wanted.size, got=member.size, digest=wanted.digest)
        yield Window(self._archive.file.fd, member.start, member.size)

    def _member(self, digest: Digest) -> Member | None:
        members = self._archive.members
        names = [blob_name(digest)]
        if digest.algorithm == "sha256":
            names += [f"{digest.hex}.json", f"{digest.hex}.tar"]
        name = next((name for name in names if name in members), self._layers.get(digest))
        return None if name is None else members.file(name)


def _layers_of(archive: Archive) -> dict[Digest, str]:
    """Which member is said to hold the layer of which diff ID; of documents that break their rules nothing is said."""
    layers: dict[Digest, str] = {}
    if is_docker(archive):
        with suppress(InputError, LayerError, VerificationError):
            for one in read_listed(archive):
                layers.update(zip(parse_config(one.config).diff_ids, one.entry.layers, strict=False))
    return layers
