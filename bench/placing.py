"""Puts blobs and manifests into docker-registry by plain requests, so that no contestant makes its own ground."""

import http.client
import json
import urllib.parse
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from bench.layout import INDEX, MANIFEST
from bench.registry import Registry, RegistryFailed

Answer: TypeAlias = tuple[int, dict[str, str], bytes]
DIGEST: Final = "Docker-Content-Digest"


class Placing:
    """One repository, over one connection; a context manager."""

    def __init__(self, registry: Registry, repository: str) -> None:
        self._line = http.client.HTTPConnection(registry.host, timeout=60)
        self._repository = repository
        self._known: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()

    def blob(self, digest: str, content: Path | bytes) -> None:
        """See to it that the blob is there; raises RegistryFailed."""
        if digest in self._known or self._ask("HEAD", f"blobs/{digest}")[0] == 200:
            self._known.add(digest)
            return
        _, headers, _ = self._ask("POST", "blobs/uploads/", wanted=202)
        parts = urllib.parse.urlsplit(headers["Location"])
        query = f"{parts.query}&digest={urllib.parse.quote(digest)}".lstrip("&")
        raw = content if isinstance(content, bytes) else content.read_bytes()
        self._send("PUT", f"{parts.path}?{query}", raw, {"Content-Type": "application/octet-stream"}, wanted=201)
        self._known.add(digest)

    def manifest(self, name: str, raw: bytes, media_type: str) -> None:
        """Put a manifest under a tag or its digest; raises RegistryFailed."""
        self._send("PUT", f"/v2/{self._repository}/manifests/{name}", raw, {"Content-Type": media_type}, wanted=201)

    def read(self, path: str, accept: str = "*/*") -> bytes:
        """The body of a GET below the repository; raises RegistryFailed."""
        return self._send("GET", f"/v2/{self._repository}/{path}", b"", {"Accept": accept}, wanted=200)[2]

    def digest(self, tag: str) -> str:
        """What a tag names; raises RegistryFailed."""
        accept = {"Accept": f"{MANIFEST}, {INDEX}"}
        return self._send("HEAD", f"/v2/{self._repository}/manifests/{tag}", b"", accept, wanted=200)[1][DIGEST]

    def tags(self) -> list[str]:
        """All tags; raises RegistryFailed."""
        return list(json.loads(self.read("tags/list"))["tags"])

    def _ask(self, method: str, path: str, *, wanted: int | None = None) -> Answer:
        return self._send(method, f"/v2/{self._repository}/{path}", b"", {}, wanted=wanted)

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str], *, wanted: int | None) -> Answer:
        self._line.request(method, path, body=body, headers=headers)
        answer = self._line.getresponse()
        text = answer.read()
        if wanted is not None and answer.status != wanted:
            raise RegistryFailed(f"{method} {path}: {answer.status} {text[:500]!r}")
        return answer.status, dict(answer.headers), text
