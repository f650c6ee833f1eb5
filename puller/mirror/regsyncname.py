"""RegsyncName: what regsync calls an image, a repository or a registry; `ocidir://PATH[:TAG]` is an OCI directory
(regclient: types/ref/ref.go).
"""

from dataclasses import dataclass, replace

from puller.mirror.config import Place
from puller.mirror.yamlfile import Value
from puller.model.digest import Digest
from puller.model.reference import Reference, is_tag

_DIRECTORY = "ocidir://"
_SCHEME = "://"


@dataclass(frozen=True, slots=True)
class Image:
    """One image; `digest` comes before the tag, as there."""

    place: Place
    tag: str
    digest: str = ""


def image(value: Value) -> Image:
    """An image; without a tag it is `latest`. Raises InvalidConfig."""
    text = value.text()
    if text.startswith(_DIRECTORY):
        return _in_directory(value, text.removeprefix(_DIRECTORY))
    reference = value.read(_parse)
    name, digest = Place("registry", reference.name), str(reference.digest or "")
    return Image(name, reference.tag or "latest", digest)


def repository(value: Value) -> Place:
    """A repository, or a directory. Raises InvalidConfig."""
    text = value.text()
    if text.startswith(_DIRECTORY):
        return Place("oci", _path(value, text.removeprefix(_DIRECTORY)))
    reference = value.read(_parse)
    if reference.tag is not None or reference.digest is not None:
        raise value.wrong("a repository goes without a tag", got=text)
    return Place("registry", reference.name)


def registry(value: Value) -> Place:
    """All repositories of a registry, or of what begins like that; or of a directory. Raises InvalidConfig."""
    text = value.text()
    if text.startswith(_DIRECTORY):
        return Place("oci", f"{_path(value, text.removeprefix(_DIRECTORY))}/*")
    below = replace(value, held=f"{text}/x", written=f"{text}/x").read(_parse)
    if below.registry != text.partition("/")[0]:  # a name without dot or port would be a part of Docker Hub
        raise value.wrong("no registry", wanted="a host with a dot or a port", got=text[:140])
    return Place("registry", f"{text}/*")


def _parse(text: str) -> Reference:
    if _SCHEME in text:
        raise ValueError("an unknown kind of place: wanted host[:port]/repository or ocidir://PATH")
    return Reference.parse(text)


def _in_directory(value: Value, text: str) -> Image:
    text, at, digest = text.partition("@")
    path, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        path, tag = text, "latest"
    if not is_tag(tag):
        raise value.wrong("no tag", got=tag[:140])
    known = str(replace(value, held=digest, written=digest).read(Digest.parse)) if at else ""
    return Image(Place("oci", _path(value, path)), tag, known)


def _path(value: Value, text: str) -> str:
    path = text.rstrip("/")
    if not path or "\0" in path or "*" in path or ":" in path.rpartition("/")[2]:
        raise value.wrong("no directory", wanted="ocidir://PATH", got=value.text()[:140])
    return path
