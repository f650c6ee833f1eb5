"""Places: where the settings of this machine and of its user lie. Nothing is looked at here."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """`etc` holds the machine's settings. `config` are the folders of the user's own, the first to be looked at first
    ($XDG_CONFIG_HOME, ~/.config). `desktop` is Docker's own folder of the user (~/.docker). `aliases` is the folder
    where podman writes what short names were chosen (/var/cache of root, else ~/.cache). `registries_conf` is the file
    that was named instead of all others ($CONTAINERS_REGISTRIES_CONF).
    """

    etc: Path
    config: tuple[Path, ...] = ()
    desktop: Path | None = None
    aliases: Path | None = None
    registries_conf: Path | None = None

    def all(self, name: str) -> tuple[Path, ...]:
        """`name` in the user's folders, then in the machine's."""
        return (*(folder / name for folder in self.config), self.etc / name)
