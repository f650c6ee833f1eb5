"""What a request is about, read from its path. No look-up, no refusal: a path nobody serves is of kind "other"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

Kind = Literal["ping", "manifest", "blob", "tags", "catalog", "referrers", "upload", "token", "other"]

# The verb is looked for from the end of the path, since a repository may well be called `a/blobs/b`.
# DOTALL: a newline smuggled into a name is part of that name, and refused with it.
_ROUTES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("ping", re.compile(r"/v2/?")),
    ("catalog", re.compile(r"/v2/_catalog")),
    ("token", re.compile(r"/token")),
    ("tags", re.compile(r"/v2/(?P<name>.+)/tags/list", re.DOTALL)),
    ("upload", re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<session>[^/]*)", re.DOTALL)),
    ("upload", re.compile(r"/v2/(?P<name>.+)/blobs/uploads(?P<session>)", re.DOTALL)),
    ("blob", re.compile(r"/v2/(?P<name>.+)/blobs/(?P<reference>[^/]*)", re.DOTALL)),
    ("manifest", re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]*)", re.DOTALL)),
    ("referrers", re.compile(r"/v2/(?P<name>.+)/referrers/(?P<reference>[^/]*)", re.DOTALL)),
)


@dataclass(frozen=True, slots=True)
class Target:
    """Kind of endpoint, repository name, and the last part: tag or digest, or the session of an upload."""

    kind: Kind
    repository: str | None = None
    reference: str | None = None
    session: str | None = None

    @classmethod
    def of_path(cls, raw_path: str) -> Target:
        """Read a path as it stood in the request line, still percent-encoded, without its query."""
        path = unquote(raw_path)
        for kind, pattern in _ROUTES:
            if match := pattern.fullmatch(path):
                parts = match.groupdict()
                return cls(kind, parts.get("name"), parts.get("reference"), parts.get("session"))
        return cls("other")
