"""HostsToml: where containerd and nerdctl pull a registry's content from: `certs.d/HOST/hosts.toml`.

By docs/hosts.md of containerd, and by core/remotes/docker/config/hosts.go where that leaves it open. A malformed file
is an error here; containerd goes on without it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from puller.contracts.access import NO_TRUST, Trust
from puller.settings.certsd import trust_in
from puller.settings.file import MAX_ITEMS, Table, is_there, read_toml
from puller.settings.places import Places
from puller.settings.site import Site, parse_site

_CAPABILITIES = frozenset({"pull", "resolve", "push"})
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ms|s|m|h))+", re.ASCII)
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ms|s|m|h)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}", re.ASCII)
_VALUE = re.compile(r"[\t -~]{0,8000}", re.ASCII)
# What says where a message ends, or which part of a blob it has, is not for settings.
_OURS = frozenset(
    {"accept-encoding", "connection", "content-length", "if-range", "range", "te", "trailer", "transfer-encoding"}
)


@dataclass(frozen=True, slots=True)
class Host:
    """One host to ask. `site` None: the registry itself. `connect_within` is in seconds."""

    site: Site | None
    capabilities: frozenset[str] = _CAPABILITIES
    trust: Trust = NO_TRUST
    skip_verify: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    proxy: str = field(default="", repr=False)
    connect_within: float | None = None


def load_hosts(registry: str, places: Places) -> tuple[Host, ...] | None:
    """Whom to ask for what `registry` has, in order, the server last; None where nothing is set up.

    The user's folder comes before the machine's, and in each a host's own before `_default`. Raises InvalidConfig.
    """
    for root in places.all("containerd/certs.d"):
        for folder in _folders(root, registry):
            if not is_there(folder):
                continue
            table = read_toml(folder / "hosts.toml")
            if table is not None and table.values:
                return parse_hosts(table)
            trust = trust_in(folder, joined=True)
            return None if trust in (None, NO_TRUST) else (Host(None, trust=trust or NO_TRUST),)
    return None


def parse_hosts(table: Table) -> tuple[Host, ...]:
    """The hosts of one file as they are written, and its server. Raises InvalidConfig."""
    hosts = table.table("host")
    if hosts is not None and len(hosts.values) > MAX_ITEMS:
        raise table.wrong("host", f"at most {MAX_ITEMS} hosts")
    mirrors = [] if hosts is None else [_host(url, _inner(hosts, url)) for url in hosts.values]
    return (*mirrors, _host(table.text("server"), table))


def _folders(root: Path, registry: str) -> Iterator[Path]:
    host, colon, port = registry.rpartition(":")
    if colon and port.isdigit():
        yield root / f"{host}_{port}_"
    yield root / registry
    yield root / "_default"


def _inner(hosts: Table, url: str) -> Table:
    table = hosts.table(url)
    assert table is not None
    return table


def _host(url: str, table: Table) -> Host:
    site = parse_site(url, as_it_is=table.flag("override_path") or False) if url else None
    if url and site is None:
        raise table.wrong("" if table.key else "server", "http[s]://host[:port][/path]")
    capabilities = {name.lower() for name in table.texts("capabilities") or ()}
    if not capabilities <= _CAPABILITIES:
        raise table.wrong("capabilities", "pull, resolve and push")
    return Host(
        site,
        frozenset(capabilities) or _CAPABILITIES,
        Trust(tuple(_files(table, "ca")), tuple(_pairs(table))),
        table.flag("skip_verify") or False,
        tuple(_headers(table)),
        table.text("proxy"),
        _seconds(table),
    )


def _files(table: Table, key: str) -> Iterator[Path]:
    value = table.values.get(key)
    for text in [value] if isinstance(value, str) else table.texts(key) or ():
        yield table.file.parent / text


def _pairs(table: Table) -> Iterator[tuple[Path, Path]]:
    """`client`: a path, an array of paths, or one of pairs of paths; a certificate without a key holds it."""
    value = table.values.get("client", [])
    for entry in [value] if isinstance(value, str) else value if isinstance(value, list) else [None]:
        pair = [entry, ""] if isinstance(entry, str) else entry
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair) and pair[0]):
            raise table.wrong("client", "a path, an array of paths, or one of [certificate, key]")
        certificate, key = pair
        yield table.file.parent / certificate, table.file.parent / (key or certificate)


def _headers(table: Table) -> Iterator[tuple[str, str]]:
    inner = table.table("header")
    values: Mapping[str, Any] = {} if inner is None else inner.values
    if inner is not None and len(values) > 100:
        raise table.wrong("header", "at most 100 headers")
    for name, value in values.items():
        assert inner is not None
        text = value if isinstance(value, str) else ", ".join(inner.texts(name) or ())
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(text):
            raise table.wrong("header", "names and values of HTTP headers")
        if name.lower() in _OURS:
            raise table.wrong("header", "headers that do not frame messages", got=name)
        yield name, text


def _seconds(table: Table) -> float | None:
    """`dial_timeout`, as Go writes durations."""
    text = table.text("dial_timeout")
    if not text:
        return None
    seconds = sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text))
    if not _DURATION.fullmatch(text) or seconds <= 0:
        raise table.wrong("dial_timeout", "a duration as in 1s or 500ms", got=text)
    return seconds
