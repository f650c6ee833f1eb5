"""Certificates: the `certs.d` folders of docker, podman and containerd, one folder a host.

By containers-certs.d(5) and "Verify repository client with certificates" of Docker's documentation: `*.crt` are
authorities, `NAME.cert` with `NAME.key` proves who we are.
"""

from collections.abc import Sequence
from pathlib import Path

from puller.contracts.access import NO_TRUST, Trust
from puller.errors import InvalidConfig
from puller.settings.places import Places

_MAX_FILES = 1000


def trust_of(registry: str, places: Places) -> Trust:
    """What the first folder for `registry` (`host[:port]`) holds; NO_TRUST where there is none. Raises InvalidConfig.

    The user's folders come before the machine's, podman's before docker's, as containers/image has them; docker alone
    reads its own, of a daemon without root that of the user.
    """
    for root in _roots(places):
        trust = trust_in(root / registry)
        if trust is not None:
            return trust
    return NO_TRUST


def trust_in(folder: Path, *, joined: bool = False) -> Trust | None:
    """What one folder holds; None where there is none, or it may not be looked into. Raises InvalidConfig.

    `joined`: a certificate without a key is in one file with it, as containerd has it.
    """
    try:
        files = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except OSError as error:
        raise InvalidConfig("a folder of certificates cannot be read", where=folder, got=error.strerror) from error
    if len(files) > _MAX_FILES:
        raise InvalidConfig("too many files in a folder of certificates", where=folder, wanted=f"at most {_MAX_FILES}")
    return Trust(tuple(path for path in files if path.suffix == ".crt"), _pairs(files, joined=joined))


def _pairs(files: Sequence[Path], *, joined: bool) -> tuple[tuple[Path, Path], ...]:
    there = set(files)
    for path in files:
        if path.suffix == ".key" and path.with_suffix(".cert") not in there:
            raise InvalidConfig("a key without its certificate", where=path, wanted=path.with_suffix(".cert").name)
    pairs = []
    for path in files:
        if path.suffix == ".cert":
            key = path.with_suffix(".key")
            if key not in there and not joined:
                hint = "Certificates of authorities end in .crt."
                raise InvalidConfig("a certificate without its key", where=path, wanted=key.name, hint=hint)
            pairs.append((path, key if key in there else path))
    return tuple(pairs)


def _roots(places: Places) -> list[Path]:
    folders = [folder / tool / "certs.d" for tool in ("containers", "docker") for folder in places.config]
    if places.desktop is not None:
        folders.append(places.desktop / "certs.d")
    return [*folders, *(places.etc / tool / "certs.d" for tool in ("containers", "docker"))]
