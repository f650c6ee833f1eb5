"""Site: a host that serves registries' content, as hosts.toml and daemon.json write one: by URL."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from puller.model.reference import DOCKER_HUB, is_registry

# What people call Docker Hub by, or write for the host behind it; accounts are under the one name.
_HUB = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Site:
    """`registry` as references name one, `base` what stands before the paths of the distribution spec."""

    scheme: str
    registry: str
    base: str = "/v2"


def parse_site(text: str, *, as_it_is: bool = False) -> Site | None:
    """Read `http[s]://host[:port][/path]`, https where there is no scheme; None for anything else.

    `/v2` is added to a path that does not end in it, unless it is to be taken as it is.
    """
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
    except ValueError:
        return None
    is_plain = not (parts.query or parts.fragment) and _PATH.fullmatch(parts.path) and ".." not in parts.path.split("/")
    if parts.scheme not in ("http", "https") or not is_registry(parts.netloc) or not is_plain:
        return None
    path = parts.path.rstrip("/")
    base = path if as_it_is or path.endswith("/v2") else f"{path}/v2"
    return Site(parts.scheme, DOCKER_HUB if parts.netloc in _HUB else parts.netloc, base)
