"""Every known way out of a root, by every user and both ways to resolve names: nothing outside is touched."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from puller.rootfs.openat2 import Opener
from tests.conftest import ROOT
from tests.rootfs.gauntlet import OPENERS, place, trial
from tests.rootfs.layering import apply, words
from tests.rootfs.vector import Vector
from tests.rootfs.vectors import PATH_MAX, VECTORS

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`

NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
ROOT_WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_nothing_outside_is_touched_and_the_control_works(vector: Vector, opener: Opener, scratch: Path) -> None:
    assert trial(vector, scratch, opener) == ""


def _python_of(who: tuple[str, ...]) -> list[str]:
    """An interpreter that this user may run, with the checkout in reach; skips where there is none."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become somebody else, and with setpriv (util-linux)")
    for python in (sys.executable, "/usr/bin/python3"):
        check = [*who, python, "-c", "import sys, tests.rootfs.vectors; sys.exit(sys.version_info < (3, 11))"]
        if shutil.which(python) and subprocess.run(check, cwd=ROOT, capture_output=True, check=False).returncode == 0:
            return [*who, python]
    pytest.skip("no Python 3.11 that this user may run, or the checkout is closed to it")


@pytest.mark.parametrize("name", sorted(OPENERS))
@pytest.mark.parametrize("who", [NOBODY, ROOT_WITHOUT_CAPABILITIES], ids=["nobody", "root_without_capabilities"])
def test_nothing_outside_is_touched_by_those_who_may_little(who: tuple[str, ...], name: str, scratch: Path) -> None:
    python = _python_of(who)
    if OPENERS[name]() is None:
        pytest.skip("this kernel has no openat2")
    if who == NOBODY:
        os.chown(scratch, 65534, 65534)
    command = [*python, "-m", "tests.rootfs.gauntlet", str(scratch), name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)
    assert json.loads(done.stdout) == {"ran": len(VECTORS) + 1, "wrong": {}}


def test_e1_the_archive_makes_a_path_that_no_system_call_takes(scratch: Path) -> None:
    with place(scratch, "attack") as found:
        apply(found.dest, PATH_MAX.layers[0])
        assert max(map(len, words(found.dest))) > 4096


def test_the_canaries_notice_a_write_beside_the_root(scratch: Path) -> None:
    with place(scratch, "attack") as found:
        assert found.is_untouched
        (found.base / "victim/hello").chmod(0o644)
        assert not found.is_untouched


def test_the_canaries_notice_a_second_name_for_a_file_outside(scratch: Path) -> None:
    with place(scratch, "attack") as found:
        os.link(found.base / "victim/hello", found.dest / "x")
        assert not found.is_untouched


def test_the_canaries_notice_a_new_name_beside_the_root(scratch: Path) -> None:
    with place(scratch, "attack") as found:
        (found.base / "pwned").touch()
        assert not found.is_untouched
