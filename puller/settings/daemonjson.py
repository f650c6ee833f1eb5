"""DaemonJson: what the Docker daemon's configuration says of registries: mirrors of Docker Hub, insecure registries.

By the reference of dockerd ("Daemon configuration file", "Insecure registries") and registry/config.go of moby. All
else in the file is about the daemon.
"""

import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from puller.errors import InvalidConfig, InvalidManifest
from puller.model.document import load_document
from puller.model.reference import is_registry
from puller.settings.file import MAX_ITEMS, is_there, read_file
from puller.settings.places import Places
from puller.settings.site import Site, parse_site

_LOG = logging.getLogger(__name__)
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class DaemonJson:
    """`mirrors` of Docker Hub in order; `insecure` are `host[:port]` and networks."""

    mirrors: tuple[Site, ...] = ()
    insecure: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def is_insecure(self, registry: str) -> bool:
        """Whether `host[:port]` may be spoken to without TLS, or over TLS that proves nothing.

        A network counts for addresses only. dockerd also looks up which addresses a name has, so that whoever answers
        for names decides whom it trusts.
        """
        if registry in self.insecure:
            return True
        host = urlsplit(f"//{registry}").hostname or ""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self.networks)


def load_daemon(places: Places) -> DaemonJson:
    """What is set up: for the daemon of the user where it is, else of the machine. Raises InvalidConfig."""
    for path in filter(is_there, places.all("docker/daemon.json")):
        try:
            raw = read_file(path)
        except InvalidConfig as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            _LOG.warning("%s may not be read, so it does not count", path)
            continue
        if raw is not None:
            return parse_daemon(raw, path)
    return DaemonJson()


def parse_daemon(raw: bytes, path: Path) -> DaemonJson:
    """What one file says; an empty one says nothing. Raises InvalidConfig."""
    try:
        document = load_document(raw, what="daemon.json") if raw.strip() else {}
    except InvalidManifest as error:
        raise InvalidConfig("docker's daemon.json cannot be read", where=path, got=error.what) from None
    insecure, networks = set(), []
    for text in _texts(document, "insecure-registries", path):
        network = _network(text)
        if network is not None:
            networks.append(network)
            continue
        host = text.partition("://")[2] if text.startswith(("http://", "https://")) else text
        if not is_registry(host):
            raise _wrong(path, "insecure-registries", "host[:port] or a network", text)
        insecure.add(host)
    mirrors = tuple(_mirror(text, path) for text in _texts(document, "registry-mirrors", path))
    return DaemonJson(mirrors, frozenset(insecure), tuple(networks))


def _mirror(text: str, path: Path) -> Site:
    site = parse_site(text)
    if site is None:
        raise _wrong(path, "registry-mirrors", "https://host[:port]", None)
    return site


def _network(text: str) -> Network | None:
    if "/" not in text:
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _texts(document: Mapping[str, Any], key: str, path: Path) -> list[str]:
    values = document.get(key)
    if values is None:
        return []
    if not isinstance(values, list) or len(values) > MAX_ITEMS or not all(isinstance(value, str) for value in values):
        raise _wrong(path, key, f"an array of at most {MAX_ITEMS} strings", None)
    return values


def _wrong(path: Path, key: str, wanted: str, got: str | None) -> InvalidConfig:
    return InvalidConfig("a setting cannot be used", where=f"{path}: {key}", wanted=wanted, got=got)
