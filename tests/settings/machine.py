"""Machine: settings of a machine and of its user, as files below a test's own directory."""

from dataclasses import dataclass
from pathlib import Path

from puller.settings.places import Places


@dataclass(frozen=True, slots=True)
class Machine:
    """`etc`, and `config` of its user; files are written with their folders."""

    root: Path

    @property
    def places(self) -> Places:
        return Places(
            self.root / "etc",
            (self.root / "home/.config",),
            desktop=self.root / "home/.docker",
            aliases=self.root / "home/.cache",
        )

    def write(self, name: str, text: str = "") -> Path:
        """`etc/…` or `home/…`."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path
