"""What the registry is given to hold: blobs and manifests as values, and the roots that know all they stand on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from testregistry.body import Body


@dataclass(frozen=True, slots=True)
class Content:
    """One thing for the registry to hold: a blob, or a manifest with its media type."""

    digest: str
    media_type: str
    body: Body
    is_manifest: bool = False
    subject: str | None = None


class Root(Protocol):
    """What `TestRegistry.add` takes: something with a digest that knows all it stands on."""

    @property
    def digest(self) -> str: ...

    def content(self) -> Iterator[Content]:
        """Yield everything, what is referred to before what refers to it."""
        ...
