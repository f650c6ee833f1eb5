"""Every known way out of a root, by every user and both ways to resolve names: nothing outside is touched."""

import json
import os
from pathlib import Path

import pytest

from puller.rootfs.openat2 import Opener
from tests.rootfs.gauntlet import OPENERS, by_engine, place, trial
from tests.rootfs.layering import apply, words
from tests.rootfs.users import NAMES, Who, give, run
from tests.rootfs.vector import Vector
from tests.rootfs.vectors import PATH_MAX, VECTORS

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_nothing_outside_is_touched_and_the_control_works(vector: Vector, opener: Opener, scratch: Path) -> None:
    assert trial(vector, scratch, by_engine(opener)) == ""


@pytest.mark.parametrize("jail", ["", "jail"], ids=["engine_alone", "jail"])
@pytest.mark.parametrize("name", sorted(OPENERS))
@pytest.mark.parametrize("who", list(NAMES), ids=NAMES.get)
def test_nothing_outside_is_touched_by_anybody_in_the_jail_or_not(
    who: Who, name: str, jail: str, scratch: Path
) -> None:
    if OPENERS[name]() is None:
        pytest.skip("this kernel has no openat2")
    give(scratch, who)
    told = run(who, "tests.rootfs.gauntlet", str(scratch), name, *filter(None, [jail]), libraries=bool(jail))
    assert json.loads(told) == {"ran": len(VECTORS) + 1, "wrong": {}}


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
