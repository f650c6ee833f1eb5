"""Reference: `registry/repository:tag@digest`, by the grammar of distribution/reference and Docker's short forms.

Normal form is the full one (`docker.io/library/alpine:3.20`); `familiar()` gives back what people type.
"""

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Self

from puller.errors import InvalidDigest, InvalidReference
from puller.model.digest import Digest

DOCKER_HUB = "docker.io"
MAX_REPOSITORY = 255  # distribution/reference: RepositoryNameTotalLengthMax
MAX_TAG = 128
MAX_HOST = 253  # RFC 1035 section 2.3.4, as text without the root; a label has at most 63

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST = rf"({_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])"
_REGISTRY = re.compile(rf"{_HOST}(?::([0-9]{{1,5}}))?", re.ASCII)
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_IMAGE_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LIBRARY = "library/"


def is_tag(text: str) -> bool:
    """Whether `text` is a tag by the distribution spec ("Pulling manifests": at most 128 characters)."""
    return _TAG.fullmatch(text) is not None


def is_repository(text: str) -> bool:
    """Whether `text` is the name of a repository within a registry, by the distribution spec ("Pulling manifests")."""
    return len(text) <= MAX_REPOSITORY and _REPOSITORY.fullmatch(text) is not None


def is_registry(text: str) -> bool:
    """Whether `text` is `host`, `host:port` or `[v6]:port`, with a host that a resolver can be asked for."""
    match = _REGISTRY.fullmatch(text)
    if match is None or not (match[2] is None or 0 < int(match[2]) < 65536):
        return False
    host = match[1]
    return _is_ipv6(host[1:-1]) if host.startswith("[") else len(host) <= MAX_HOST


def short_name(text: str) -> str | None:
    """The name in a reference as it was typed, without tag and digest; None where it names a registry."""
    name, _ = _split_tag(text.partition("@")[0])
    return None if _names_registry(name) else name


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a registry: repository, and a tag, a digest, both or neither. Checked when it is born.

    Raises InvalidReference for anything outside the grammar, so no part of it can climb a path or split a line
    (THREATS A2, A5, A6), and for a name that would be read back as another one: `parse(str(r)) == r` always holds.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        if not is_registry(self.registry):
            raise InvalidReference("invalid registry", wanted="host[:port]", got=repr(self.registry)[:160])
        if len(self.repository) > MAX_REPOSITORY:
            got = f"{len(self.repository)} characters"
            raise InvalidReference("repository name too long", wanted=f"at most {MAX_REPOSITORY}", got=got)
        if not _REPOSITORY.fullmatch(self.repository):
            hint = "A repository name is lower case." if self.repository != self.repository.lower() else ""
            raise InvalidReference("invalid repository name", got=repr(self.repository)[:160], hint=hint)
        if self.tag is not None and not is_tag(self.tag):
            raise InvalidReference(
                "invalid tag", wanted=f"at most {MAX_TAG} of A-Z a-z 0-9 _ . -", got=repr(self.tag)[:160]
            )
        if (self.registry, self.repository) != (normal := _split_registry(self.name)):
            raise InvalidReference("name is not in full form", wanted="/".join(normal), got=self.name)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a full or short name; `alpine` becomes `docker.io/library/alpine` (without tag: see `tagged()`)."""
        if _IMAGE_ID.fullmatch(text):
            raise InvalidReference(
                "a repository name cannot be 64 hex digits", got=text, hint="It would look like an image ID."
            )
        if "://" in text:
            raise InvalidReference(
                "invalid reference: it has a scheme", got=repr(text)[:300], hint="Leave out the scheme (https://)."
            )
        name, at, digest_text = text.partition("@")
        try:
            digest = Digest.parse(digest_text) if at else None
        except InvalidDigest as error:
            what = f"invalid reference: {error.what}"
            raise InvalidReference(what, wanted=error.wanted, got=repr(text)[:300], hint=error.hint) from error
        name, tag = _split_tag(name)
        registry, repository = _split_registry(name)
        try:
            return cls(registry, repository, tag, digest)
        except InvalidReference as error:
            error.at(reference=repr(text)[:300])
            raise

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    def tagged(self) -> Self:
        """The reference with the tag `latest` where it has neither tag nor digest."""
        return replace(self, tag="latest") if self.tag is None and self.digest is None else self

    def with_tag(self, tag: str) -> Self:
        """The same repository under another tag, without digest."""
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: Digest) -> Self:
        """The same name, pinned."""
        return replace(self, digest=digest)

    def familiar(self) -> str:
        """As people type it: `alpine:3.20` for `docker.io/library/alpine:3.20`; `parse` reads it back as the same."""
        shortest_first = (self.repository.removeprefix(_LIBRARY), self.repository, self.name)
        return next(name for name in shortest_first if self._is_named(name)) + self._suffix()

    def _is_named(self, name: str) -> bool:
        # `library/a/b` cannot lose `library/`, nor `docker.io/a.b/c` its host; 64 hex digits would be an image ID.
        return _split_registry(name) == (self.registry, self.repository) and not _IMAGE_ID.fullmatch(name)

    def __lt__(self, other: "Reference") -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[str, str, str, str]:
        return self.registry, self.repository, self.tag or "", str(self.digest or "")

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return f"{tag}@{self.digest}" if self.digest is not None else tag


def _split_tag(name: str) -> tuple[str, str | None]:
    head, slash, last = name.rpartition("/")
    stem, colon, tag = last.partition(":")
    if not colon or (not slash and last.startswith("[")):
        return name, None
    return head + slash + stem, tag


def _split_registry(name: str) -> tuple[str, str]:
    first, _, rest = name.partition("/")
    registry, repository = (first, rest) if _names_registry(name) else (DOCKER_HUB, name)
    if registry == "index.docker.io":
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in repository:
        repository = _LIBRARY + repository
    return registry, repository


def _names_registry(name: str) -> bool:
    """Whether the first word is a host, by its spelling (distribution/reference, splitDockerDomain)."""
    first, slash, _ = name.partition("/")
    is_spelled = "." in first or ":" in first or "[" in first or first == "localhost"
    return bool(slash) and (is_spelled or first != first.lower())
