"""Trees of each driver of a Docker 1.9, read: files by their names, layers put together again, layers packed anew."""

import gzip
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from puller.contracts.graph import GraphDriver
from puller.errors import ContentCorrupt, ContentMissing, PullerError, Unsupported
from puller.rootfs.crew import InProcess
from puller.rootfs.graphdriver import driver_at
from puller.rootfs.manner import Manner
from puller.stream.tarsplit import assemble
from tests.rootfs.layering import (
    Words,
    census,
    device,
    fifo,
    file,
    folder,
    hardlink,
    layer,
    open_files,
    symlink,
    words,
)
from tests.rootfs.old_docker import DRIVERS, apply_layer, line_of, old_root

pytestmark = pytest.mark.slow  # many small tests: for `make test`

UNPACKER = InProcess(Manner())
LAYERS = (
    layer(
        folder("etc/", mode=0o711, mtime=5), file("etc/conf", "one\n"), file("etc/gone", "x"), folder("d/"),
        file("d/a", "1" * 700), file("d/b", "22"), symlink("l", "d"), file("kept", "k", mode=0o4755),
        hardlink("k2", "kept"), folder("full/"), file("full/x", "x"), folder("full/below/"), file("full/below/y", "y"),
    ),
    layer(
        file("etc/.wh.gone"), file("etc/conf", "two\n", mtime=99), file("d/c", "333"), file("full/.wh..wh..opq"),
        file("full/!", "!"),
    ),
    layer(file(".wh.l"), file("new", "n" * 3000), hardlink("new2", "new")),
)  # fmt: skip
IMAGES = line_of(*LAYERS)
IDS = [image.image_id for image in IMAGES]
NOBODY_HERE = "f" * 64


@pytest.fixture(params=DRIVERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(name: str, scratch: Path) -> Path:
    return old_root(scratch / "docker", name, IMAGES)


@pytest.fixture
def driver(root: Path) -> Iterator[GraphDriver]:
    before, files = census(root), open_files()
    yield driver_at(root, UNPACKER)
    assert open_files() == files
    assert census(root) == before


def reading(driver: GraphDriver, image_id: str) -> Callable[[bytes], Iterator[bytes]]:
    def content(path: bytes) -> Iterator[bytes]:
        with os.fdopen(driver.content(image_id, path), "rb") as opened:
            yield from iter(lambda: opened.read(100), b"")

    return content


def tree_of(root: Path, image_id: str) -> Path:
    """The directory that holds an image's files."""
    places = (root / "vfs/dir" / image_id, root / "overlay" / image_id / "root", root / "aufs/diff" / image_id)
    return next(place for place in places if place.is_dir())


def unpacked(base: Path, *archives: bytes) -> Path:
    """The tree of these layers, made by the standard library."""
    base.mkdir(mode=0o755, parents=True)
    for archive in archives:
        apply_layer(base, archive)
    return base


def test_every_image_has_its_tree_and_no_other(driver: GraphDriver) -> None:
    assert [driver.has(image_id) for image_id in IDS] == [True] * 3
    for other in (NOBODY_HERE, "_tmp", "", ".", "..", "../" * 20 + "tmp", IDS[0][:12], IDS[0] + "\n"):
        assert not driver.has(other)


@pytest.mark.parametrize("number", range(3))
def test_docker_s_own_record_puts_every_layer_together_again(number: int, driver: GraphDriver, root: Path) -> None:
    image_id = IDS[number]
    with gzip.open(root / "graph" / image_id / "tar-data.json.gz") as lines:
        assert b"".join(assemble(lines, reading(driver, image_id))) == LAYERS[number]


@pytest.mark.parametrize("number", range(3))
def test_a_layer_packed_anew_makes_the_same_tree(number: int, driver: GraphDriver, scratch: Path) -> None:
    parent = IDS[number - 1] if number else None
    packed = b"".join(driver.diff(IDS[number], parent))
    found = unpacked(scratch / "found", *LAYERS[:number], packed)
    assert words(found) == words(unpacked(scratch / "expected", *LAYERS[: number + 1]))


def test_the_content_of_new_files_is_counted_once(driver: GraphDriver) -> None:
    sizes = [driver.size(image_id, parent) for image_id, parent in zip(IDS, [None, *IDS[:2]], strict=True)]
    assert sizes == [4 + 1 + 700 + 2 + 1 + 1 + 1, 4 + 3 + 1, 3000]


def test_an_image_that_is_not_here_is_missing(driver: GraphDriver) -> None:
    calls: list[Callable[[], object]] = [
        lambda: driver.content(NOBODY_HERE, b"a"),
        lambda: list(driver.diff(NOBODY_HERE, None)),
        lambda: driver.size(NOBODY_HERE, None),
        lambda: driver.content("../" * 20 + "etc", b"passwd"),
    ]
    for call in calls[:3]:
        with pytest.raises(ContentMissing):
            call()
    with pytest.raises(PullerError):
        calls[3]()


@pytest.mark.parametrize("path", [b"etc/conf", b"./etc/conf", b"/etc//conf", b"etc/./conf"])
def test_names_are_cleaned_as_by_whoever_unpacked_them(path: bytes, driver: GraphDriver) -> None:
    assert b"".join(reading(driver, IDS[0])(path)) == b"one\n"


@pytest.mark.parametrize(
    "path",
    [b"", b"/", b".", b"absent", b"absent/x", b"etc", b"etc/conf/x", b"l", b"etc/../etc/conf", b"nul\0", b"n" * 5000],
)
def test_what_is_no_file_of_the_image_is_an_error_of_its_record(path: bytes, driver: GraphDriver) -> None:
    with pytest.raises(ContentCorrupt):
        driver.content(IDS[0], path)


def plant(root: Path, image_id: str, outside: Path) -> None:
    """What no layer made, or a hostile one."""
    tree = tree_of(root, image_id)
    (tree / "link").symlink_to(outside / "canary")
    (tree / "up").symlink_to(outside)
    (tree / "climb").symlink_to("../" * 20 + str(outside)[1:])
    (tree / "loop").symlink_to("loop")
    (tree / "inner").symlink_to("/d")
    os.mkfifo(tree / "pipe")


@pytest.mark.parametrize("path", [b"link", b"up/canary", b"climb/canary", b"loop/x", b"pipe"])
def test_f2_no_link_leads_out_and_no_pipe_is_waited_for(path: bytes, root: Path, scratch: Path) -> None:
    outside = scratch / "outside"
    outside.mkdir()
    (outside / "canary").write_text("secret")
    plant(root, IDS[0], outside)
    with pytest.raises(ContentCorrupt):
        driver_at(root, UNPACKER).content(IDS[0], path)


def test_a_link_that_leads_elsewhere_in_the_tree_is_followed_inside(root: Path, scratch: Path) -> None:
    plant(root, IDS[0], scratch)
    assert b"".join(reading(driver_at(root, UNPACKER), IDS[0])(b"inner/b")) == b"22"


def test_h1_a_link_in_place_of_a_tree_or_above_is_no_tree(root: Path, scratch: Path, name: str) -> None:
    tree = tree_of(root, IDS[2])
    elsewhere = tree.rename(scratch / "elsewhere")
    tree.symlink_to(elsewhere)
    assert not driver_at(root, UNPACKER).has(IDS[2])
    with pytest.raises(ContentMissing):
        driver_at(root, UNPACKER).content(IDS[2], b"new")
    driver = driver_at(root, UNPACKER)
    (root / name).rename(scratch / "home")
    (root / name).symlink_to(scratch / "home")
    assert not driver.has(IDS[0])


def test_a_device_is_not_opened(scratch: Path, name: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    root = old_root(scratch / "docker", name, line_of(layer(file("a"), fifo("p"), device("null", 1, 3))))
    with pytest.raises(ContentCorrupt):
        driver_at(root, UNPACKER).content(IDS[0], b"null")
    assert b"null" in b"".join(driver_at(root, UNPACKER).diff(IDS[0], None))


def test_an_image_without_a_layer_is_its_parent_again(scratch: Path, name: str) -> None:
    root = old_root(scratch / "docker", name, line_of(LAYERS[0], None))
    driver = driver_at(root, UNPACKER)
    assert driver.has(IDS[1])
    assert driver.size(IDS[1], IDS[0]) == 0
    after = unpacked(scratch / "after", LAYERS[0], b"".join(driver.diff(IDS[1], IDS[0])))
    assert words(after) == words(unpacked(scratch / "before", LAYERS[0]))


class TestOverlay:
    """What the first overlay driver has of its own."""

    @pytest.fixture
    def name(self) -> str:
        return "overlay"

    def test_files_of_the_parent_are_not_packed_again(self, driver: GraphDriver, root: Path) -> None:
        shared = [tree_of(root, image_id) / "kept" for image_id in IDS]
        assert len({path.stat().st_ino for path in shared}) == 1
        assert b"kept" not in b"".join(driver.diff(IDS[2], IDS[1]))

    def test_what_lies_upon_a_root_is_seen_as_the_kernel_shows_it(self, root: Path, scratch: Path) -> None:
        upper = root / "overlay" / NOBODY_HERE / "upper"
        upper.mkdir(parents=True)
        (upper.parent / "lower-id").write_text(IDS[0])
        (upper / "d").mkdir()
        (upper / "d/b").write_text("over")
        try:
            os.mknod(upper / "kept", stat.S_IFCHR)
        except PermissionError:
            pytest.skip("a kernel that lets nobody make marks of overlayfs")
        driver = driver_at(root, UNPACKER)
        assert driver.has(NOBODY_HERE)
        assert b"".join(reading(driver, NOBODY_HERE)(b"d/b")) == b"over"
        assert b"".join(reading(driver, NOBODY_HERE)(b"etc/conf")) == b"one\n"
        tree = unpacked(scratch / "tree", LAYERS[0], b"".join(driver.diff(NOBODY_HERE, IDS[0])))
        found: Words = words(tree)
        assert (found["d/b"], found["d/a"], "kept" in found) == ("'over'", repr("1" * 700), False)

    @pytest.mark.parametrize("said", ["", "../" * 30 + "etc", NOBODY_HERE, "e" * 64 + "\n"])
    def test_an_upper_upon_nothing_is_no_tree(self, said: str, root: Path) -> None:
        folder_path = root / "overlay" / NOBODY_HERE
        (folder_path / "upper").mkdir(parents=True)
        (folder_path / "lower-id").write_text(said)
        assert not driver_at(root, UNPACKER).has(NOBODY_HERE)


class TestAufs:
    """What the aufs driver has of its own."""

    @pytest.fixture
    def name(self) -> str:
        return "aufs"

    def test_a_layer_is_packed_with_its_whiteouts_first_and_without_the_notes_of_aufs(
        self, driver: GraphDriver
    ) -> None:
        packed = b"".join(driver.diff(IDS[1], IDS[0]))
        for mark in (b"etc/.wh.gone\0", b"full/.wh..wh..opq\0"):
            assert mark in packed
        assert packed.index(b"full/.wh..wh..opq") < packed.index(b"full/!")
        for note in (b".wh..wh.aufs", b".wh..wh.plnk", b".wh..wh.orph"):
            assert note not in packed

    def test_it_is_told_apart_from_the_image_right_below_it_only(self, driver: GraphDriver) -> None:
        for other in (None, IDS[0]):
            with pytest.raises(Unsupported, match="right below"):
                list(driver.diff(IDS[2], other))

    def test_a_note_in_a_deeper_directory_is_left_out_too(self, root: Path) -> None:
        (tree_of(root, IDS[1]) / "etc/.wh..wh.1a2b").mkdir()
        (tree_of(root, IDS[1]) / "etc/.wh..wh.1a2b/x").touch()
        assert b"1a2b" not in b"".join(driver_at(root, UNPACKER).diff(IDS[1], IDS[0]))

    def test_an_image_without_its_list_of_parents_is_missing(self, root: Path) -> None:
        (root / "aufs/layers" / IDS[1]).unlink()
        with pytest.raises(ContentMissing):
            list(driver_at(root, UNPACKER).diff(IDS[1], IDS[0]))

    def test_h1_a_link_in_place_of_that_list_is_an_error(self, root: Path, scratch: Path) -> None:
        lines = root / "aufs/layers" / IDS[1]
        lines.rename(scratch / "list")
        lines.symlink_to(scratch / "list")
        with pytest.raises(PullerError):
            list(driver_at(root, UNPACKER).diff(IDS[1], IDS[0]))
