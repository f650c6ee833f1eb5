"""Environment: what this machine and this user's settings say. The one place that reads `os.environ`."""

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from datetime import tzinfo
from pathlib import Path

from puller.errors import InvalidConfig
from puller.model.platform import Platform
from puller.settings.authfile import Place
from puller.settings.places import Places


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


def settings_places(environ: Mapping[str, str] = os.environ) -> Places:
    """Where registries are set up for podman, containerd and docker, on this machine and by this user.

    $PULLER_SETTINGS_ROOT stands for / before `etc` and `var/cache`: for images of other systems, and to see to it that
    nothing of this machine counts.
    """
    root = Path(environ.get("PULLER_SETTINGS_ROOT") or "/")
    home = Path(environ["HOME"]) if environ.get("HOME") else None
    named = environ.get("CONTAINERS_REGISTRIES_CONF")
    config: tuple[Path, ...] = ()
    cache: Path | None = None
    if home is not None:
        # containers/image looks into ~/.config alone, docker and nerdctl where XDG says.
        config = tuple(dict.fromkeys((_absolute(environ, "XDG_CONFIG_HOME", home / ".config"), home / ".config")))
        cache = _absolute(environ, "XDG_CACHE_HOME", home / ".cache")
    return Places(
        root / "etc",
        config,
        desktop=None if home is None else home / ".docker",
        aliases=root / "var" / "cache" if os.geteuid() == 0 else cache,
        registries_conf=Path(named) if named else None,
    )


def proxy_variables(environ: Mapping[str, str] = os.environ) -> dict[str, tuple[str, str]]:
    """What the environment says of proxies: (variable, value) by `http`, `https`, `all` and `no`, where it says any.

    The names are curl's, the lower case first. In a CGI program $HTTP_PROXY is a header of whoever asks, and is not
    read (curl's manual, ENVIRONMENT; https://httpoxy.org).
    """
    found = {}
    for scheme in ("http", "https", "all", "no"):
        names = [f"{scheme}_proxy", f"{scheme.upper()}_PROXY"]
        if scheme == "http" and environ.get("REQUEST_METHOD"):
            names.pop()
        name = next((name for name in names if environ.get(name)), None)
        if name is not None:
            found[scheme] = (f"${name}", environ[name])
    return found


def surroundings(environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """What programs that we run get: all of it, as they would from a shell."""
    return dict(environ)


@contextmanager
def without_authorities(environ: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Have OpenSSL take the file of the system's authorities for empty: what is made in the block trusts nobody by it.

    Where other threads run nothing is done: a C library may be reading the environment.
    """
    if threading.active_count() > 1:
        yield
        return
    kept = environ.get("SSL_CERT_FILE")
    environ["SSL_CERT_FILE"] = os.devnull
    try:
        yield
    finally:
        if kept is None:
            del environ["SSL_CERT_FILE"]
        else:
            environ["SSL_CERT_FILE"] = kept


def limits_path(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where this user's processes tell one another what registries allow: a folder that need not be there.

    $XDG_STATE_HOME/puller/hosts, else ~/.local/state/puller/hosts: the same for what runs at a login and for what runs
    by the clock. None: there is no place for it, or it is root who runs in the home of another (sudo): what root makes
    there its owner cannot use, and a link there leads wherever its owner likes.
    """
    if not environ.get("HOME"):
        return None
    home = Path(environ["HOME"])
    with suppress(OSError):
        if os.geteuid() == 0 and home.stat().st_uid != 0:
            return None
    return _absolute(environ, "XDG_STATE_HOME", home / ".local" / "state") / "puller" / "hosts"


def mirror_state_path(config: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where syncs of a configuration keep what they remember, unless it is said.

    A folder of its own in $XDG_STATE_HOME/puller/mirrors, else ~/.local/state/puller/mirrors, named by the file and by
    where that lies. Raises InvalidConfig where there is no home.
    """
    state = environ.get("XDG_STATE_HOME")
    base = Path(state) if state and Path(state).is_absolute() else _home(environ) / ".local" / "state"
    place = hashlib.sha256(os.fsencode(config.resolve())).hexdigest()[:8]
    return base / "puller" / "mirrors" / f"{config.stem or 'mirrors'}-{place}"


def time_zone(environ: Mapping[str, str] = os.environ) -> tzinfo:
    """The time zone of this user: $TZ, else the machine's. Raises InvalidConfig for one that is not known."""
    from puller.cli.zone import local_zone  # only now: schedules alone need it

    return local_zone(environ.get("TZ"))


def host_platform() -> Platform:
    """linux/<this machine's architecture>: what containers run here, whatever runs them."""
    return Platform.parse(f"linux/{os.uname().machine}")


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def _runtime_directory(environ: Mapping[str, str]) -> Path:
    """Podman's: in $XDG_RUNTIME_DIR, else /run/containers/UID."""
    runtime = _own_runtime_directory(environ)
    return Path(f"/run/containers/{os.getuid()}") if runtime is None else runtime / "containers"


def _own_runtime_directory(environ: Mapping[str, str]) -> Path | None:
    """$XDG_RUNTIME_DIR, which the XDG base directory specification wants to be the user's own.

    After `su` it is somebody else's, and counts for nothing.
    """
    folder = environ.get("XDG_RUNTIME_DIR", "")
    with suppress(OSError):
        if Path(folder).is_absolute() and Path(folder).stat().st_uid == os.getuid():
            return Path(folder)
    return None


def _absolute(environ: Mapping[str, str], name: str, otherwise: Path) -> Path:
    """A directory of the XDG base directory specification: a relative one is invalid and ignored."""
    folder = environ.get(name)
    return Path(folder) if folder and Path(folder).is_absolute() else otherwise


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME")
    if not home:
        raise InvalidConfig("no home directory", hint="Set HOME, or say where: --store, --state.")
    return Path(home)
