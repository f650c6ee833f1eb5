"""Names resolved inside a root: by steps, by the kernel, and by the kernel alone as the judge of both."""

import errno
import os
import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puller.errors import UnsafePath
from puller.rootfs.inside import MAX_LINKS, Directory, Root
from puller.rootfs.name import components
from puller.rootfs.openat2 import Opener, kernel_opener, open_stepwise
from puller.rootfs.removal import remove
from tests.rootfs.layering import open_files

NAMES = (b"a", b"b", b"c", b"d")
KERNEL = kernel_opener()


def _forest(base: Path, chance: random.Random) -> None:
    """Directories, files and links at random: absolute, climbing, dangling, in loops."""
    places = [base]
    for _ in range(chance.randrange(4, 24)):
        path = chance.choice(places) / os.fsdecode(chance.choice(NAMES))
        with suppress(FileExistsError):
            match chance.randrange(5):
                case 0 | 1:
                    path.mkdir()
                    places.append(path)
                case 2:
                    path.touch(exist_ok=False)
                case _:
                    path.symlink_to(_target(chance))


def _target(chance: random.Random) -> str:
    parts = [chance.choice(("a", "b", "c", "d", "..", "..", ".", "", "victim")) for _ in range(chance.randrange(1, 5))]
    return (chance.choice(("", "", "/", "//")) + "/".join(parts)) or "."


def _identity(fd: int) -> tuple[int, int]:
    state = os.fstat(fd)
    return state.st_dev, state.st_ino


def _by(root: Root, name: bytes) -> tuple[int, int] | None:
    try:
        found = root.find(components(name))
    except UnsafePath:
        return None
    if found is None:
        return None
    if found is not root.top:
        root.keep(name, found)
    return _identity(found.fd)


def _by_kernel(fd: int, name: bytes) -> tuple[int, int] | None:
    assert KERNEL is not None
    try:
        found = KERNEL.following(fd, name)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    try:
        return _identity(found)
    finally:
        os.close(found)


@pytest.mark.skipif(KERNEL is None, reason="this kernel has no openat2")
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_both_ways_and_the_kernel_agree_on_any_forest_of_links(seed: int, scratch: Path) -> None:
    chance = random.Random(seed)
    base = scratch / "root"
    base.mkdir()
    (scratch / "victim").mkdir(exist_ok=True)
    fd = os.open(base, os.O_RDONLY)
    parent = os.open(scratch, os.O_RDONLY)
    try:
        _forest(base, chance)
        with Root(fd) as quick, Root(fd, opener=open_stepwise) as slow:
            for _ in range(60):
                name = b"/".join(chance.choice(NAMES) for _ in range(chance.randrange(1, 6)))
                judged = _by_kernel(fd, name)
                assert (_by(quick, name), _by(slow, name)) == (judged, judged), name
    finally:
        os.close(fd)
        remove(parent, b"root")
        os.close(parent)


@pytest.fixture
def base(scratch: Path) -> Path:
    """root/ with links in it, beside a victim."""
    (scratch / "victim").mkdir()
    base = scratch / "root"
    for name in ("real/deep", "etc"):
        (base / name).mkdir(parents=True)
    for name, target in {
        "absolute": "/real",
        "climbs": "../../real/deep",
        "out": "../victim",
        "proc": "/proc/self",
    }.items():
        (base / name).symlink_to(target)
    return base


def _path(base: Path, name: bytes, opener: Opener) -> bytes | None:
    fd = os.open(base, os.O_RDONLY)
    try:
        with Root(fd, opener=opener) as root:
            found = root.find(components(name))
            if found is None:
                return None
            assert os.path.samestat(os.fstat(found.fd), (base / os.fsdecode(found.path)).stat())
            if found is not root.top:
                root.keep(name, found)
            return found.path
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"real/deep", b"real/deep"), (b"/real//./deep/", b"real/deep"), (b"absolute/deep", b"real/deep"),
        (b"climbs", b"real/deep"), (b"out", None), (b"p", None), (b"nowhere", None), (b"", b""), (b"./.", b""),
    ],
)  # fmt: skip
def test_a_directory_has_one_true_path(name: bytes, path: bytes | None, base: Path, opener: Opener) -> None:
    assert _path(base, name, opener) == path


@pytest.mark.parametrize(("links", "found"), [(MAX_LINKS, True), (MAX_LINKS + 1, False)])
def test_as_many_links_are_followed_as_the_kernel_does(links: int, found: bool, base: Path, opener: Opener) -> None:
    for number in range(links):
        (base / f"l{number}").symlink_to(f"l{number + 1}" if number + 1 < links else "real")
    if found:
        assert _path(base, b"l0", opener) == b"real"
    else:
        with pytest.raises(UnsafePath, match="too many symbolic links"):
            _path(base, b"l0", opener)


def test_links_that_cost_too_many_steps_are_refused(base: Path, opener: Opener) -> None:
    for number in range(39):
        (base / f"w{number}").symlink_to("etc/../" * 500 + f"w{number + 1}")
    (base / "w39").symlink_to("real")
    with pytest.raises(UnsafePath, match="too far"):
        _path(base, b"w0", opener)


def test_no_more_directories_stay_open_than_asked_for(scratch: Path) -> None:
    fd = os.open(scratch, os.O_RDONLY)
    before = len(open_files())
    with Root(fd, cached=4) as root:
        for number in range(20):
            name = b"%d" % number
            (scratch / os.fsdecode(name)).mkdir()
            found = root.find((name,))
            assert found is not None
            root.keep(name, found)
        assert len(open_files()) == before + 4
    assert len(open_files()) == before
    os.close(fd)


def test_the_directory_used_last_is_the_last_to_be_closed(scratch: Path) -> None:
    fd = os.open(scratch, os.O_RDONLY)
    with Root(fd, cached=2) as root:
        for name in (b"a", b"b", b"c"):
            (scratch / os.fsdecode(name)).mkdir()
            root.cached(b"a")
            found = root.find((name,))
            assert found is not None
            root.keep(name, found)
        assert root.cached(b"a") is not None
        assert root.cached(b"b") is None
    os.close(fd)


def test_what_was_borrowed_stays_open_until_it_is_settled(scratch: Path) -> None:
    (scratch / "a").mkdir()
    fd = os.open(scratch, os.O_RDONLY)
    with Root(fd) as root:
        found = root.find((b"a",))
        assert found is not None
        root.keep(b"a", found)
        root.forget()
        assert root.cached(b"a") is None
        os.fstat(found.fd)
        root.settle()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(found.fd)
    os.close(fd)


def test_what_is_missing_is_made_where_the_links_lead(base: Path, opener: Opener) -> None:
    made: list[tuple[bytes, bytes]] = []

    def maker(parent: Directory, name: bytes) -> None:
        made.append((parent.path, name))
        os.mkdir(name, dir_fd=parent.fd)

    fd = os.open(base, os.O_RDONLY)
    with Root(fd, opener=opener) as root:
        found = root.make((b"out", b"x"), maker)
        root.keep(b"out/x", found)
        assert found.path == b"victim/x"
    os.close(fd)
    assert made == [(b"", b"victim"), (b"victim", b"x")]
    assert (base / "victim/x").is_dir()


def test_both_openers_refuse_a_link_on_the_way(base: Path, opener: Opener) -> None:
    fd = os.open(base, os.O_RDONLY)
    with pytest.raises(OSError, match=r"Too many levels|Not a directory"):
        opener(fd, b"absolute/deep")
    os.close(fd)


def test_both_openers_open_what_no_path_can_say(scratch: Path, opener: Opener) -> None:
    fd = os.open(scratch, os.O_RDONLY)
    part = b"d" * 250
    path = b""
    for _ in range(20):
        above = opener(fd, path)
        os.mkdir(part, dir_fd=above)
        os.close(above)
        path = path + b"/" + part if path else part
    found = opener(fd, path, os.O_RDONLY)
    with os.scandir(found) as entries:
        assert list(entries) == []
    os.close(found)
    remove(fd, part)
    os.close(fd)
