"""Copywords: what SRC and DST of a copy say, before anything is asked or opened.

The forms are those of skopeo (containers-transports(5)), and a plain reference is a registry's: `REF`, `docker://REF`,
`oci:DIR[:TAG]`, `oci-archive:FILE[:REF]`, `docker-archive:FILE[:REF]`, `store:REF`; to directories and archives
`@DIGEST` may be added.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from puller.errors import InvalidConfig, InvalidReference, PullerError
from puller.model.digest import Digest
from puller.model.reference import Reference, is_tag
from puller.ops.copying.places import Kind

_FILES: Final[tuple[Kind, ...]] = ("oci", "oci-archive", "docker-archive")
_DOCKER: Final = "docker://"
# What skopeo knows besides, and what to do instead.
_OTHERS: Final = {
    "dir:": "A directory of images is an OCI layout: oci:DIR.",
    "docker-daemon:": "Go by an archive: `docker save -o FILE`, then docker-archive:FILE.",
    "containers-storage:": "Go by an archive: `podman save -o FILE`, then docker-archive:FILE.",
    "ostree:": "",
    "sif:": "",
    "tarball:": "`puller import` makes an image of a tar archive.",
}


@dataclass(frozen=True, slots=True)
class Word:
    """`path` is absolute, of what is on this machine. `name` is what follows, as it was written: a reference, a tag, or
    None; `digest` what was added to a directory or archive.
    """

    text: str
    kind: Kind
    path: str = ""
    name: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a word. Raises InvalidConfig, InvalidReference."""
        if text.startswith(_DOCKER):
            return cls(text, "registry", name=text.removeprefix(_DOCKER))
        if text.startswith("store:"):
            return cls(text, "store", name=_given(text, text.removeprefix("store:"), "store:REF"))
        for kind in _FILES:
            if text.startswith(f"{kind}:"):
                return cls._of_file(text, kind, text.removeprefix(f"{kind}:"))
        for other, hint in _OTHERS.items():
            if text.startswith(other):
                raise InvalidConfig("this kind of place is not known here", got=text, hint=hint)
        if text.startswith(("/", ".", "~")):
            hint = f"A directory of images is oci:{text}, a file oci-archive:{text} or docker-archive:{text}"
            raise InvalidConfig("a path, and not what kind of place it is", got=text, hint=hint)
        return cls(text, "registry", name=_given(text, text, "REF"))

    @classmethod
    def _of_file(cls, text: str, kind: Kind, rest: str) -> Self:
        front, at, end = rest.rpartition("@")
        digest = None
        if at and end.partition(":")[0] in ("sha256", "sha512"):
            try:
                rest, digest = front, Digest.parse(end)
            except PullerError as error:
                raise InvalidReference(error.what, got=text) from error
        path, colon, name = rest.partition(":")
        what = "DIR" if kind == "oci" else "FILE"
        _given(text, path, f"{kind}:{what}[:NAME]")
        if colon and not name:
            raise InvalidReference("nothing follows the colon", got=text, wanted=f"{kind}:{what}:NAME")
        if colon and digest is not None:
            hint = "Leave out the name: the digest says all."
            raise InvalidReference("a name and a digest", got=text, hint=hint)
        return cls(text, kind, _absolute(path), name or None, digest)

    @property
    def place(self) -> str:
        """The place of a directory or archive, as `Places` knows it."""
        return f"{self.kind}:{self.path}"

    @property
    def is_whole(self) -> bool:
        """Whether it says no single image."""
        return self.name is None and self.digest is None

    def named(self) -> Reference:
        """What the name of a directory or archive asks for, of whatever repository where it is a tag alone.

        Raises InvalidReference.
        """
        anywhere = Reference("docker.io", "library/any")
        if self.digest is not None:
            return anywhere.with_digest(self.digest)
        if self.name is None:
            return anywhere
        return anywhere.with_tag(self.name) if self.is_tagged else Reference.parse(self.name)

    @property
    def is_tagged(self) -> bool:
        """Whether the name is a tag alone: an archive of Docker's has whole names only."""
        return self.name is not None and self.kind != "docker-archive" and is_tag(self.name)


def _absolute(path: str) -> str:
    """Shells leave a `~` behind a colon as it is, and a directory of that name is not what was meant."""
    with suppress(RuntimeError):  # nobody knows whose home that is
        if path.startswith("~"):
            return str(Path(path).expanduser().absolute())
    return str(Path(path).absolute())


def _given(text: str, part: str, wanted: str) -> str:
    if not part:
        raise InvalidConfig("the place is not whole", got=repr(text), wanted=wanted)
    return part
