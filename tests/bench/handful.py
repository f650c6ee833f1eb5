"""A tree of a few files for the benchmark's own tests, grown without the network."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Handful:
    """Twelve files in three folders, and a symbolic link."""

    name: str = "handful"

    def grow(self, root: Path) -> None:
        for number in range(12):
            file = root / f"usr/share/{number % 3}/file{number}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(bytes([number]) * 1000 * (number + 1))
        (root / "usr/link").symlink_to("share")
