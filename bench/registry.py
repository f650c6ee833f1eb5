"""Debian's docker-registry on a free port of 127.0.0.1 over a data directory, started and stopped as a context."""

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.tool import end, require

START_TIMEOUT = 20.0


class RegistryFailed(Exception):
    """The registry did not answer in time; the message carries the end of its log."""


class Access(Protocol):
    """How clients must prove themselves; see `bench.access`."""

    def settings(self) -> dict[str, Any]:
        """The `auth` section of the registry's configuration."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: what the registry shows, and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the access log: `size` is the body bytes handed to the connection."""

    method: str
    path: str
    status: int
    size: int


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry. `host` is `127.0.0.1:PORT`."""

    host: str
    scheme: str
    log: Path

    def name(self, repository: str, tag: str = "1") -> str:
        """A full reference, as the clients take it."""
        return f"{self.host}/{repository}:{tag}"

    def requests(self) -> list[Request]:
        """Every request answered so far, in the order of their ends (Apache combined log on stdout)."""
        found = ACCESS_LINE.finditer(self.log.read_text(errors="replace"))
        return [Request(m["method"], m["path"], int(m["status"]), int(m["size"])) for m in found]

    def blob_reads(self, digest: str) -> list[Request]:
        """The GETs of one blob."""
        return [r for r in self.requests() if r.method == "GET" and r.path.endswith(f"/blobs/{digest}")]


ACCESS_LINE = re.compile(
    r'^\S+ - \S* ?\[[^]]*\] "(?P<method>[A-Z]+) (?P<path>[^ "]+) HTTP/[\d.]+" (?P<status>\d+) (?P<size>\d+)', re.M
)


@contextmanager
def serve(data: Path, workspace: Path, *, access: Access | None = None, tls: Tls | None = None) -> Iterator[Registry]:
    """Run a registry over `data`; its configuration and log go to `workspace`.

    Schema 1 and deletes are on. Raises MissingTool, or RegistryFailed when it does not answer within 20 s.
    """
    require("docker-registry")
    for folder in (data, workspace):
        folder.mkdir(parents=True, exist_ok=True)
    registry = Registry(f"127.0.0.1:{_free_port()}", "https" if tls else "http", workspace / "registry.log")
    config = workspace / "registry.json"
    # The registry reads YAML, of which JSON is a part.
    config.write_text(json.dumps(_settings(registry.host, data, access, tls), indent=1))
    with registry.log.open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
    try:
        _wait_until_it_listens(process, registry)
        yield registry
    finally:
        end(process, within=10)


def _settings(address: str, data: Path, access: Access | None, tls: Tls | None) -> dict[str, Any]:
    http: dict[str, Any] = {"addr": address, "secret": "only one instance, so any word does"}
    if tls:
        http["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": str(data)},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": http,
        "compatibility": {"schema1": {"enabled": True}},
    }
    return settings | ({"auth": access.settings()} if access else {})


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_listens(process: subprocess.Popen[bytes], registry: Registry) -> None:
    host, _, port = registry.host.partition(":")
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RegistryFailed(f"docker-registry did not start: {registry.log.read_text()[-2000:]}")


def manifest_digest(registry: Registry, repository: str, tag: str, media_type: str) -> str | None:
    """What the registry says a tag's digest is, or None where there is no such tag."""
    url = f"{registry.scheme}://{registry.host}/v2/{repository}/manifests/{tag}"
    request = urllib.request.Request(url, method="HEAD", headers={"Accept": media_type})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.headers["Docker-Content-Digest"])
    except urllib.error.HTTPError as failure:
        failure.close()
        if failure.code == 404:
            return None
        raise
