"""Key: what accounts of docker's config.json and containers' auth.json stand under: a registry, or a part of one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from puller.model.reference import DOCKER_HUB

# docker/cli keeps Docker Hub under a URL of the protocol before this one (registry.IndexServer).
HUB_KEY = "https://index.docker.io/v1/"
HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io"})


@dataclass(frozen=True, slots=True)
class Key:
    """`host` as references name a registry, in lower case; `path` the repositories it is for, empty for all of them."""

    host: str
    path: str = ""

    @classmethod
    def of(cls, text: str, *, legacy: bool = False) -> Self:
        """What a key means.

        Of a URL scheme and path do not count, the port does (docker/cli, credentials.ConvertToHostname); without a
        scheme the path is a namespace or a repository (containers-auth.json(5)), but not in `legacy` files, which have
        none (containers/image, normalizeAuthFileKey).
        """
        scheme, mark, rest = text.partition("://")
        host, _, path = (rest if mark else scheme).partition("/")
        host = host.lower()
        return cls(DOCKER_HUB if host in HUB_NAMES else host, "" if mark or legacy else path.strip("/"))

    def __str__(self) -> str:
        return f"{self.host}/{self.path}" if self.path else self.host


def keys_for(registry: str, repository: str) -> Iterator[Key]:
    """The parts of a registry that a repository lies in, the smallest first; the whole registry is not among them."""
    host = Key.of(registry).host
    while repository:
        yield Key(host, repository)
        repository = repository.rpartition("/")[0]


def server_of(registry: str) -> str:
    """What helper programs know a registry by (docker/cli: what `docker login` hands to `store`)."""
    return HUB_KEY if registry.lower() in HUB_NAMES else registry
