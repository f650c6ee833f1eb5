"""The journal: every request kept, with what was answered, so that tests can ask how often and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from multidict import CIMultiDict, CIMultiDictProxy

from testregistry.target import Kind


@dataclass(slots=True)
class Request:
    """One request as it came in; `status`, `bytes_sent` (of the body) and `finished` are filled in as it is answered.

    `digest` is the content asked for, also when a tag was named. Times are seconds of a monotonic clock. `port` is the
    other end's: requests of one port came over one connection. `certificate` is what the client has shown, as `ssl`
    reads it.
    """

    method: str
    path: str
    query: str
    headers: CIMultiDictProxy[str] = field(repr=False)  # may hold credentials: never printed by a failing assert
    kind: Kind
    started: float
    repository: str | None = None
    reference: str | None = None
    digest: str | None = None
    version: str = "1.1"
    port: int = 0
    certificate: Mapping[str, object] | None = None
    form: dict[str, str] = field(default_factory=dict, repr=False)
    status: int | None = None
    answer_headers: CIMultiDict[str] = field(default_factory=CIMultiDict, repr=False)
    bytes_sent: int = 0
    finished: float | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def range(self) -> str | None:
        """The Range header, None where there is none."""
        return self.headers.get("Range")

    @property
    def reference_or_digest(self) -> str | None:
        """The last part of the path: what the client called the content."""
        return self.reference


class Journal:
    """Requests in the order of their arrival."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)

    def open(self, request: Request) -> None:
        """Note a request that has just arrived."""
        self.requests.append(request)

    def find(
        self,
        method: str | None = None,
        kind: Kind | None = None,
        digest: str | None = None,
        status: int | None = None,
        repository: str | None = None,
    ) -> list[Request]:
        """Return the requests that fit every condition given, in order."""
        return [
            request
            for request in self.requests
            if (method is None or request.method == method)
            and (kind is None or request.kind == kind)
            and (digest is None or digest in (request.digest, request.reference))
            and (status is None or request.status == status)
            and (repository is None or request.repository == repository)
        ]

    def count(
        self,
        method: str | None = None,
        kind: Kind | None = None,
        digest: str | None = None,
        status: int | None = None,
        repository: str | None = None,
    ) -> int:
        """Return how many requests fit every condition given."""
        return len(self.find(method, kind, digest, status, repository))

    def gets(self, digest: str) -> int:
        """Return how many GETs asked for this content, refused ones included."""
        return self.count("GET", digest=digest)

    def ranges(self, digest: str) -> list[str | None]:
        """Return the Range header of each GET of this content, in order; None for a whole one."""
        return [request.range for request in self.find("GET", digest=digest)]

    def bytes_sent(self, digest: str) -> int:
        """Return the body bytes sent for this content over all its GETs."""
        return sum(request.bytes_sent for request in self.find("GET", digest=digest))

    def clear(self) -> None:
        """Forget everything so far."""
        self.requests.clear()
