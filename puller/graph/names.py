"""Names of images as Docker 1.9 took them apart and compared them (LEGACY.md d.5).

Looser than `model.Reference`: what cannot be understood passes through as it is, and upper case is allowed.
"""

import re
from typing import Final

from puller.errors import InputError, InvalidReference
from puller.legacy import olddigest
from puller.legacy.gotext import shown

DEFAULT_TAG: Final = "latest"
_HUB: Final = ("docker.io", "index.docker.io")
_OFFICIAL: Final = "library/"
_LONGEST: Final = 255
_COMPONENT = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_ID = re.compile(r"[a-f0-9]{64}", re.ASCII)
_SHORT_ID = re.compile(r"[a-z0-9]{12}", re.ASCII)
_RULE: Final = (
    "only [A-Za-z0-9_.-] are allowed ('.' and '-' are NOT allowed in the initial), minimum 1, maximum 128 in length"
)


def split(name: str) -> tuple[str, str]:
    """Repository and ref (a tag or a digest, empty where there is none) of a name as people type it."""
    if "@" in name:
        repository, ref = name.split("@")[:2]
        return repository, ref
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, ""
    return repository, tag


def join(repository: str, ref: str) -> str:
    """The name that `split` would take apart so."""
    return f"{repository}{'@' if ':' in ref else ':'}{ref}"


def normalised(repository: str) -> str:
    """The name that a repository is kept under: without the hub's own, and `library/`. What is none stays as it is."""
    index, slash, rest = repository.partition("/")
    if not slash or not ("." in index or ":" in index or index == "localhost"):
        index, rest = _HUB[0], repository
    if "://" in repository or index.startswith("-") or index.endswith("-") or not _is_remote(rest):
        return repository
    if index not in _HUB:
        return f"{index}/{rest}"
    return rest.removeprefix(_OFFICIAL)


def _is_remote(name: str) -> bool:
    if len(name) > _LONGEST or _ID.fullmatch(name):
        return False
    return all(_COMPONENT.fullmatch(component) for component in name.split("/"))


def check_repository(name: str) -> None:
    """Raises InvalidReference for a name that no image may have, in the original's words."""
    if not name:
        raise InvalidReference("Repository name can't be empty")
    if "scratch" in (name, normalised(name)):
        raise InvalidReference("'scratch' is a reserved name")


def check_tag(tag: str) -> None:
    """Raises InvalidReference in the original's words for what is no tag."""
    if not tag:
        raise InvalidReference("tag name can't be empty")
    if not _TAG.fullmatch(tag):
        raise InvalidReference(f"Illegal tag name ({shown(tag)}): {_RULE}")


def check_ref(ref: str) -> None:
    """The same for what is neither a tag nor a digest. Raises InvalidReference."""
    try:
        check_tag(ref)
    except InvalidReference as error:
        if not is_digest(ref):
            raise error from None


def check_digest(text: str) -> None:
    """Raises InvalidReference in the original's words for what is no digest."""
    if not text:
        raise InvalidReference("digest can't be empty")
    try:
        olddigest.validate(text)
    except InputError as error:
        raise InvalidReference(error.what) from None


def is_digest(text: str) -> bool:
    """Whether the original took `text` for a digest."""
    try:
        olddigest.validate(text)
    except InputError:
        return False
    return True


def is_id(text: str) -> bool:
    """Whether `text` is a whole ID."""
    return bool(_ID.fullmatch(text))


def is_short_id(text: str) -> bool:
    """Whether `text` begins as a shortened ID does."""
    return bool(_SHORT_ID.match(text))
