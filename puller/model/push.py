"""The report of a push: for every blob whether it was sent, and what the registry calls the whole now."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Arrival = Literal["pushed", "exists", "mounted"]
Form = Literal["schema1", "schema2", "oci"]  # what an image of a graph is made for a registry
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class PushedBlob:
    """One blob or manifest. `sent`: bytes that went over the wire now; `image_id`: whose layer it is in a graph."""

    role: str
    digest: str
    media_type: str
    size: int | None
    outcome: Arrival
    sent: int = 0
    seconds: float = 0.0
    image_id: str | None = None


@dataclass(frozen=True, slots=True)
class PushReport:
    """One push to one name. Without `error` all of it is there.

    `hashed` counts bytes of layers that were read because nobody knew their digest; what is sent is verified besides.
    `image_id` is what the image is called there, and `graph_id` what it is called in an image graph.
    """

    reference: str
    digest: str | None
    media_type: str | None
    blobs: tuple[PushedBlob, ...]
    seconds: float
    hashed: int = 0
    image_id: str | None = None
    graph_id: str | None = None
    warnings: tuple[str, ...] = ()
    error: Mapping[str, object] | None = None
    schema: int = field(default=SCHEMA)

    @property
    def sent(self) -> int:
        """Bytes that went over the wire now."""
        return sum(blob.sent for blob in self.blobs)

    def encode(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self) | {"totals": {"sent": self.sent, "hashed": self.hashed}}
