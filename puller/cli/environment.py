"""Environment: what this machine and this user's settings say. The one place that reads `os.environ`."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from puller.errors import InvalidConfig
from puller.model.platform import Platform
from puller.settings.authfile import Place
from puller.settings.authfile import Place


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


def credential_places(given: Path | None, environ: Mapping[str, str] = os.environ) -> tuple[Place, ...]:
    """Where credentials may be, in the order of containers-auth.json(5), which has docker's file in it.

    One that is named is the only one: as given, else $REGISTRY_AUTH_FILE, else in $DOCKER_CONFIG (containers/common,
    auth.GetDefaultAuthFile).
    """
    if given is not None:
        return (Place(given, required=True),)
    if environ.get("REGISTRY_AUTH_FILE"):
        return (Place(Path(environ["REGISTRY_AUTH_FILE"])),)
    if environ.get("DOCKER_CONFIG"):
        return (Place(docker_config_path(environ)),)
    runtime = Place(_runtime_directory(environ) / "auth.json")
    home = Path(environ["HOME"]) if environ.get("HOME") else None
    if home is None:
        return (runtime,)
    return (
        runtime,
        Place(_absolute(environ, "XDG_CONFIG_HOME", home / ".config") / "containers" / "auth.json"),
        Place(docker_config_path(environ)),
        Place(home / ".dockercfg", legacy=True),
    )


def login_path(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Which file logins are written to: as given, else $REGISTRY_AUTH_FILE, else docker's own."""
    if given is None and environ.get("REGISTRY_AUTH_FILE"):
        return Path(environ["REGISTRY_AUTH_FILE"])
    return given or docker_config_path(environ)


def netrc_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The file of curl, ftp and their kin: $NETRC, else ~/.netrc."""
    return Path(environ["NETRC"]) if environ.get("NETRC") else _home(environ) / ".netrc"


def surroundings(environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """What programs that we run get: all of it, as they would from a shell."""
    return dict(environ)


def credential_places(given: Path | None, environ: Mapping[str, str] = os.environ) -> tuple[Place, ...]:
    """Where credentials may be, in the order of containers-auth.json(5), which has docker's file in it.

    One that is named is the only one: as given, else $REGISTRY_AUTH_FILE, else in $DOCKER_CONFIG (containers/common,
    auth.GetDefaultAuthFile).
    """
    if given is not None:
        return (Place(given, required=True),)
    if environ.get("REGISTRY_AUTH_FILE"):
        return (Place(Path(environ["REGISTRY_AUTH_FILE"])),)
    if environ.get("DOCKER_CONFIG"):
        return (Place(docker_config_path(environ)),)
    runtime = Place(_runtime_directory(environ) / "auth.json")
    home = Path(environ["HOME"]) if environ.get("HOME") else None
    if home is None:
        return (runtime,)
    return (
        runtime,
        Place(_absolute(environ, "XDG_CONFIG_HOME", home / ".config") / "containers" / "auth.json"),
        Place(docker_config_path(environ)),
        Place(home / ".dockercfg", legacy=True),
    )


def login_path(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Which file logins are written to: as given, else $REGISTRY_AUTH_FILE, else docker's own."""
    if given is None and environ.get("REGISTRY_AUTH_FILE"):
        return Path(environ["REGISTRY_AUTH_FILE"])
    return given or docker_config_path(environ)


def netrc_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The file of curl, ftp and their kin: $NETRC, else ~/.netrc."""
    return Path(environ["NETRC"]) if environ.get("NETRC") else _home(environ) / ".netrc"


def surroundings(environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """What programs that we run get: all of it, as they would from a shell."""
    return dict(environ)


def host_platform() -> Platform:
    """linux/<this machine's architecture>: what containers run here, whatever runs them."""
    return Platform.parse(f"linux/{os.uname().machine}")


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def _runtime_directory(environ: Mapping[str, str]) -> Path:
    """Podman's: in $XDG_RUNTIME_DIR, else /run/containers/UID.

    The XDG base directory specification wants that directory to be the user's own; after `su` it is somebody else's.
    """
    folder = environ.get("XDG_RUNTIME_DIR", "")
    with suppress(OSError):
        if Path(folder).is_absolute() and Path(folder).stat().st_uid == os.getuid():
            return Path(folder) / "containers"
    return Path(f"/run/containers/{os.getuid()}")


def _absolute(environ: Mapping[str, str], name: str, otherwise: Path) -> Path:
    """A directory of the XDG base directory specification: a relative one is invalid and ignored."""
    folder = environ.get(name)
    return Path(folder) if folder and Path(folder).is_absolute() else otherwise


def _runtime_directory(environ: Mapping[str, str]) -> Path:
    """Podman's: in $XDG_RUNTIME_DIR, else /run/containers/UID.

    The XDG base directory specification wants that directory to be the user's own; after `su` it is somebody else's.
    """
    folder = environ.get("XDG_RUNTIME_DIR", "")
    with suppress(OSError):
        if Path(folder).is_absolute() and Path(folder).stat().st_uid == os.getuid():
            return Path(folder) / "containers"
    return Path(f"/run/containers/{os.getuid()}")


def _absolute(environ: Mapping[str, str], name: str, otherwise: Path) -> Path:
    """A directory of the XDG base directory specification: a relative one is invalid and ignored."""
    folder = environ.get(name)
    return Path(folder) if folder and Path(folder).is_absolute() else otherwise


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME")
    if not home:
        raise InvalidConfig("no home directory", hint="Set HOME, or give --store.")
    return Path(home)
