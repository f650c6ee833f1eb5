"""What a process in the jail can and cannot do, told by one that tries."""

import errno
import json
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from puller.rootfs.capability import NEEDED, SYS_CHROOT, effective
from puller.rootfs.landlock import confine, version
from tests.rootfs.users import MYSELF, NAMES, NOBODY, ROOT_WITHOUT_CAPABILITIES, Who, give, run

needs_landlock = pytest.mark.skipif(version() < 2, reason="this kernel has no Landlock that allows hard links")

everybody = pytest.mark.parametrize("who", list(NAMES), ids=NAMES.get)

INSIDE = ("write", "link", "rename", "list", "truncate", "remove")
FILES_OUTSIDE = (
    "create_outside",
    "write_outside",
    "truncate_outside",
    "remove_outside",
    "make_directory_outside",
    "link_outside",
    "rename_outside",
    "read_outside",
    "list_outside",
)


Tale = Callable[[Who], dict[str, Any]]


def told(who: Who, scratch: Path, *words: str) -> dict[str, Any]:
    """What the prisoner tells; nothing outside has changed when it is done."""
    place = scratch / "place"
    for folder in (place / "root", place / "outside", scratch / "victim"):
        folder.mkdir(parents=True)
    kept = (place / "outside/hello", scratch / "victim/hello")
    for file in kept:
        file.write_text("untouched")
    give(scratch, who)
    found: dict[str, Any] = json.loads(run(who, "tests.rootfs.prisoner", str(place), *words))
    if not words:
        assert [file.read_text() for file in kept] == ["untouched", "untouched"]
        assert [path.name for path in (place / "outside").iterdir()] == ["hello"]
    return found


@pytest.fixture(scope="module")
def tale() -> Tale:
    """What the prisoner tells, by user; asked once."""

    @cache
    def ask(who: Who) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            return told(who, Path(folder))

    return ask


@needs_landlock
@everybody
def test_d8_inside_the_jail_all_work_succeeds_and_nothing_outside_can_be_reached(who: Who, tale: Tale) -> None:
    found = tale(who)
    assert {name: found[f"{name}_inside"] for name in INSIDE} == dict.fromkeys(INSIDE, "ok")
    assert found["read_what_is_open"] == "ok"
    assert {name: found[name] for name in FILES_OUTSIDE} == dict.fromkeys(FILES_OUTSIDE, "EACCES")
    assert found["link_from_outside"] in ("EXDEV", "EACCES")
    assert found["missing"] == []


@needs_landlock
@everybody
def test_d8_nothing_of_the_image_can_be_read_or_run(who: Who, tale: Tale) -> None:
    found = tale(who)
    assert (found["read_inside"], found["execute"]) == ("EACCES", "EACCES")


@needs_landlock
def test_the_jail_has_no_way_to_other_processes(tale: Tale) -> None:
    found = tale(MYSELF)
    assert found["make_socket_inside"] == "EACCES"
    if version() >= 4:
        assert found["connect"] == "EACCES"
    if version() >= 6:
        assert found["signal_outside"] == "EPERM"


@needs_landlock
def test_e1_the_archive_that_gets_out_of_the_standard_library_does_not_get_out_of_the_jail(tale: Tale) -> None:
    assert tale(ROOT_WITHOUT_CAPABILITIES)["tarfile"] == "EACCES"
    assert tale(MYSELF)["tarfile"] != "ok"


@needs_landlock
@pytest.mark.skipif(not effective() >> SYS_CHROOT & 1, reason="needs the right to change the root")
def test_f6_no_mode_is_changed_by_a_path_that_leads_out(tale: Tale) -> None:
    found = tale(MYSELF)
    assert [found[name] for name in ("write_by_path", "chmod_by_path", "climb")] == ["ENOENT"] * 3


def test_e1_the_same_archive_gets_out_where_there_is_no_jail(scratch: Path) -> None:
    if told(MYSELF, scratch, "free")["tarfile"] != "ok":
        pytest.skip("the standard library of this interpreter knows better")
    assert (scratch / "victim/hello").read_text() == "bad"


@everybody
def test_the_jail_limits_what_a_process_may_use_up(who: Who, tale: Tale) -> None:
    found = tale(who)
    assert (found["too_large_a_file"], found["too_much_memory"]) == ("EFBIG", "MemoryError")
    assert (found["core"], found["processes"], found["umask"]) == (0, 0, 0)


def test_only_the_capabilities_that_unpacking_needs_are_left(tale: Tale) -> None:
    assert tale(MYSELF)["effective"] == effective() & NEEDED


@pytest.mark.parametrize("who", [NOBODY, ROOT_WITHOUT_CAPABILITIES], ids=NAMES.get)
def test_the_jail_gives_no_capability_to_those_who_had_none(who: Who, tale: Tale) -> None:
    assert tale(who)["effective"] == 0


@pytest.mark.parametrize(("found", "reason"), [(0, "no Landlock"), (1, "no hard links")])
def test_a_kernel_without_a_wall_is_told_and_nothing_is_confined(found: int, reason: str, scratch: Path) -> None:
    root = os.open(scratch, os.O_RDONLY)
    try:
        assert reason in (confine(root, found) or "")
    finally:
        os.close(root)
    (scratch / "still free").touch()


@needs_landlock
def test_a_directory_that_is_none_is_an_error_and_no_wall(scratch: Path) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        confine(-1, version())
    (scratch / "still free").touch()
