"""The report of a copy: one image, from one place to another."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from puller.model.sync import Carried

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class CopyReport:
    """One image. `digest` is what `source` names, `root` what `target` names now. Without `error` all is there."""

    source: str
    target: str
    digest: str
    media_type: str
    carried: Carried | None = None
    error: Mapping[str, object] | None = None
    schema: int = field(default=SCHEMA)

    @property
    def root(self) -> str:
        """The digest at the target, which a chosen platform can change."""
        return self.digest if self.carried is None else self.carried.root

    def encode(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)
