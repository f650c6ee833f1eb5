"""Environment: what this machine and this user's settings say. The one place that reads `os.environ`."""

import os
from collections.abc import Mapping
from pathlib import Path

from puller.errors import InvalidConfig
from puller.model.platform import Platform


def store_path(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the store is: as given, else $PULLER_STORE, else $XDG_DATA_HOME/puller, else ~/.local/share/puller."""
    if given is not None:
        return given
    if environ.get("PULLER_STORE"):
        return Path(environ["PULLER_STORE"])
    data = environ.get("XDG_DATA_HOME")
    # The XDG base directory specification: a relative path there is invalid and ignored.
    base = Path(data) if data and Path(data).is_absolute() else _home(environ) / ".local" / "share"
    return base / "puller"


def docker_config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Docker's configuration: $DOCKER_CONFIG/config.json, else ~/.docker/config.json."""
    folder = environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else _home(environ) / ".docker") / "config.json"


def host_platform() -> Platform:
    """linux/<this machine's architecture>: what containers run here, whatever runs them."""
    return Platform.parse(f"linux/{os.uname().machine}")


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME")
    if not home:
        raise InvalidConfig("no home directory", hint="Set HOME, or give --store.")
    return Path(home)
