"""Programs of the tests run as somebody else."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

Who = tuple[str, ...]

MYSELF: Who = ()
NOBODY: Who = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
ROOT_WITHOUT_CAPABILITIES: Who = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
NAMES: dict[Who, str] = {MYSELF: "myself", NOBODY: "nobody", ROOT_WITHOUT_CAPABILITIES: "root_without_capabilities"}


def run(who: Who, module: str, *arguments: str, libraries: bool = False) -> str:
    """What a program of the tests prints when `who` runs it; skips where no interpreter can. `libraries`: it needs
    more than the standard library."""
    environment = {**os.environ, "PYTHONPATH": _libraries() if libraries else "", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*_python(who, module, environment), "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def give(folder: Path, who: Who) -> None:
    """Let `who` own `folder` and all in it."""
    if who == NOBODY:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534, follow_symlinks=False)


def _python(who: Who, module: str, environment: dict[str, str]) -> list[str]:
    """An interpreter that `who` may run, with the checkout in reach."""
    if who != MYSELF and (os.geteuid() != 0 or shutil.which("setpriv") is None):
        pytest.skip("only root can become somebody else, and with setpriv (util-linux)")
    # By way of env, for setpriv itself may still be allowed to run what `who` may not.
    for python in (sys.executable, "/usr/bin/python3"):
        check = [*who, "env", python, "-c", f"import sys, {module}; sys.exit(sys.version_info < (3, 11))"]
        if (
            shutil.which(python)
            and not subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, check=False).returncode
        ):
            return [*who, "env", python]
    pytest.skip("no Python 3.11 that this user may run, or the checkout is closed to it, or the libraries are")


def _libraries() -> str:
    """Where this interpreter found the libraries that layers need; compiled for it, and perhaps for no other."""
    found = importlib.util.find_spec("backports.zstd")
    return "" if found is None or found.origin is None else str(Path(found.origin).parents[2])
