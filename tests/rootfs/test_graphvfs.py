"""Trees made where Docker's vfs driver has them: upon Docker's own and upon ours, whole or not at all."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.contracts.layers import LayerBlob
from puller.errors import (
    ContentCorrupt,
    ContentMissing,
    DiffIDMismatch,
    InputError,
    PullerError,
    StoreError,
    TruncatedArchive,
    UnsafePath,
)
from puller.model.digest import Digest
from puller.rootfs.crew import Crew, InProcess
from puller.rootfs.graphshelf import GraphShelf
from puller.rootfs.graphvfs import GraphVfs
from puller.rootfs.manner import Manner
from puller.stream.tarsplit import TarSplitRecorder, assemble
from tests.differential.generator import archive as generated
from tests.rootfs.graphmaker import FOREIGN, IDS
from tests.rootfs.jobs import quiet
from tests.rootfs.layering import DIR, SMALL, file, folder, hardlink, layer, open_files, symlink, words
from tests.rootfs.old_docker import line_of, old_root
from tests.rootfs.portrait import portrait
from tests.rootfs.stacked import blob_of
from tests.rootfs.stories import STORIES, Story
from tests.rootfs.users import NAMES, NOBODY, Who, give, run
from tests.stream.pieces import feed

pytestmark = pytest.mark.slow  # many small tests: for `make test`

LOWEST = layer(folder("d", mode=0o711, mtime=5), file("d/a", "1"), file("b", "22"))
UPPER = layer(file("d/.wh.a"), file("d/c", "333"))
ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)
EMPTY = Digest.of(bytes(1024))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "docker"


@pytest.fixture
def driver(root: Path) -> GraphVfs:
    return opened(root)


def opened(root: Path) -> GraphVfs:
    return GraphVfs(GraphShelf(root, durable=False), InProcess(Manner(limits=SMALL)))


def put(driver: GraphVfs, archive: bytes, image_id: str, parent: str | None = None) -> None:
    with blob_of(archive) as blob:
        driver.make(image_id, parent, blob, quiet)


def tree(root: Path, image_id: str) -> Path:
    return root / "vfs/dir" / image_id


def registered(root: Path, image_id: str) -> None:
    """What the graph does last of all."""
    (root / "graph" / image_id).mkdir(parents=True)


def work(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in (root / "vfs/puller/staging").rglob("*"))


def test_trees_are_made_one_upon_the_other_where_docker_has_them(driver: GraphVfs, root: Path) -> None:
    with blob_of(LOWEST) as blob:
        unpacked = driver.make(ONE, None, blob, quiet)
    assert (unpacked.entries, unpacked.size) == (3, 3)
    put(driver, UPPER, TWO, ONE)
    assert words(tree(root, ONE)) == {"d": DIR, "d/a": "'1'", "b": "'22'"}
    assert words(tree(root, TWO)) == {"d": DIR, "d/c": "'333'", "b": "'22'"}
    assert (driver.has(ONE), driver.has(TWO), driver.has(THREE)) == (True, True, False)
    assert work(root) == []


@pytest.mark.parametrize("story", [story for story in STORIES if story.layers], ids=lambda story: story.name)
def test_any_stack_gives_the_tree_of_the_specification(story: Story, driver: GraphVfs, root: Path) -> None:
    parent = None
    for number, archive in enumerate(story.layers, 1):
        put(driver, archive, f"{number:064x}", parent)
        parent = f"{number:064x}"
    assert words(tree(root, str(parent))) == story.tree


def test_a_tree_is_set_on_one_that_docker_made(tmp_path: Path) -> None:
    (image,) = line_of(LOWEST)
    root = old_root(tmp_path, "vfs", [image])
    before = portrait(tree(root, ONE))
    driver = opened(root)
    put(driver, UPPER, TWO, ONE)
    assert words(tree(root, TWO)) == {"d": DIR, "d/c": "'333'", "b": "'22'"}
    assert portrait(tree(root, ONE)) == before
    assert (driver.diff_id(ONE), driver.diff_id(TWO)) == (None, Digest.of(UPPER))
    assert driver.size(TWO, ONE) == 3


def test_an_image_without_a_layer_has_the_tree_of_its_parent_as_it_is(driver: GraphVfs, root: Path) -> None:
    put(driver, LOWEST, ONE)
    assert driver.make(TWO, ONE, None, quiet).size == 0
    assert portrait(tree(root, TWO)) == portrait(tree(root, ONE))
    assert driver.diff_id(TWO) == EMPTY
    driver.make(THREE, None, None, quiet)
    assert words(tree(root, THREE)) == {}


def test_a_layer_that_lies_in_an_archive_is_unpacked_from_there(driver: GraphVfs, root: Path, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(b"before" + LOWEST + b"behind")
    fd = os.open(tmp_path / "archive", os.O_RDONLY)
    try:
        driver.make(ONE, None, LayerBlob(fd, None, Digest.of(LOWEST), start=6, size=len(LOWEST)), quiet)
        put(driver, layer(file("x")), TWO, ONE)
        heard: list[int] = []
        driver.make(THREE, TWO, LayerBlob(fd, None, None, start=6, size=len(LOWEST)), heard.append)
    finally:
        os.close(fd)
    assert words(tree(root, ONE)) == {"d": DIR, "d/a": "'1'", "b": "'22'"}
    assert max(heard) <= len(LOWEST)


def test_what_stands_in_its_place_is_replaced(driver: GraphVfs, root: Path, tmp_path: Path) -> None:
    put(driver, LOWEST, ONE)
    put(driver, layer(file("other")), ONE)
    assert words(tree(root, ONE)) == {"other": "''"}
    assert driver.diff_id(ONE) == Digest.of(layer(file("other")))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").touch()
    tree(root, TWO).symlink_to(outside)
    tree(root, THREE).touch()
    for image_id in (TWO, THREE):
        put(driver, LOWEST, image_id)
        assert not tree(root, image_id).is_symlink()
        assert words(tree(root, image_id))["b"] == "'22'"
    assert os.listdir(outside) == ["canary"]  # noqa: PTH208  # names alone


def test_a_broken_layer_leaves_nothing_and_no_file_open(driver: GraphVfs, root: Path) -> None:
    put(driver, LOWEST, ONE)
    before = open_files()
    with blob_of(LOWEST[:700]) as blob, pytest.raises(TruncatedArchive):
        driver.make(TWO, ONE, blob, quiet)
    with blob_of(UPPER, diff_id=EMPTY) as blob, pytest.raises(DiffIDMismatch):
        driver.make(TWO, ONE, blob, quiet)
    assert open_files() == before
    assert work(root) == []
    assert not driver.has(TWO)
    assert not (root / "vfs/puller" / TWO).exists()


def test_what_the_listener_raises_leaves_nothing(driver: GraphVfs, root: Path) -> None:
    class Enough(Exception):
        pass

    def refuse(read: int) -> None:
        raise Enough

    put(driver, LOWEST, ONE)
    with blob_of(UPPER) as blob, pytest.raises(Enough):
        driver.make(TWO, ONE, blob, refuse)
    assert work(root) == []
    assert not driver.has(TWO)


def test_a_parent_that_is_not_here_is_missing_and_nothing_is_made(driver: GraphVfs, root: Path) -> None:
    with pytest.raises(ContentMissing), blob_of(UPPER) as blob:
        driver.make(TWO, ONE, blob, quiet)
    assert not root.exists()


def test_a_removed_tree_is_gone_wholly_and_may_be_gone_already(driver: GraphVfs, root: Path) -> None:
    driver.remove(ONE)
    assert not root.exists()
    put(driver, LOWEST, ONE)
    driver.remove(ONE)
    driver.remove(ONE)
    assert not driver.has(ONE)
    assert [path.name for path in (root / "vfs/puller").iterdir()] == ["staging"]
    assert list((root / "vfs/dir").iterdir()) == []
    assert work(root) == []


def test_a_tree_of_docker_s_is_removed_too(tmp_path: Path) -> None:
    root = old_root(tmp_path, "vfs", line_of(LOWEST, UPPER))
    opened(root).remove(TWO)
    assert [path.name for path in (root / "vfs/dir").iterdir()] == [ONE]


@pytest.mark.parametrize("name", ["", "..", "a" * 63, "A" * 64, "a" * 64 + "\n", "../" + "a" * 61])
def test_an_id_that_is_none_is_refused(name: str, driver: GraphVfs) -> None:
    assert not driver.has(name)
    with pytest.raises(InputError):
        driver.make(name, None, None, quiet)
    with pytest.raises(InputError):
        driver.remove(name)


def test_r4_what_dead_processes_left_is_swept_and_nothing_of_docker_s(tmp_path: Path) -> None:
    root = old_root(tmp_path, "vfs", line_of(LOWEST))
    (root / "vfs/dir/container-init").mkdir()
    tree(root, "c" * 64).mkdir()  # of a container: Docker's, and no image
    driver = opened(root)
    put(driver, UPPER, TWO, ONE)
    registered(root, TWO)
    put(driver, UPPER, THREE, ONE)  # and nobody registers it
    with blob_of(UPPER) as blob:
        driver._driver.unpack("4" * 64, blob, quiet)  # and nobody commits it
    assert work(root) != []
    driver.sweep()
    assert work(root) == []
    assert sorted(path.name for path in (root / "vfs/dir").iterdir()) == [ONE, TWO, "c" * 64, "container-init"]
    assert sorted(path.name for path in (root / "vfs/puller").iterdir()) == [TWO, "staging"]


def test_nothing_is_swept_where_there_is_no_graph(driver: GraphVfs) -> None:
    driver.sweep()
    put(driver, LOWEST, ONE)
    driver.sweep()
    assert driver.has(ONE)


@pytest.mark.parametrize("path", ["vfs", "vfs/dir", "vfs/puller", "vfs/puller/staging"])
def test_h1_a_link_in_place_of_a_directory_is_refused(path: str, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / path).parent.mkdir(parents=True)
    (root / path).symlink_to(outside)
    with blob_of(LOWEST) as blob, pytest.raises((StoreError, UnsafePath)):
        opened(root).make(ONE, None, blob, quiet)
    assert list(outside.iterdir()) == []


def test_f8_every_directory_above_a_tree_is_closed_to_others(driver: GraphVfs, root: Path) -> None:
    for path in (root, root / "vfs", root / "vfs/dir"):
        path.mkdir()
    put(driver, LOWEST, ONE)
    closed = [root / path for path in ("vfs", "vfs/dir", "vfs/puller", "vfs/puller/staging", f"vfs/puller/{ONE}")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in closed} == {0o700}


def test_a_damaged_record_is_an_error_of_its_own(driver: GraphVfs, root: Path) -> None:
    put(driver, LOWEST, ONE)
    (root / "vfs/puller" / ONE / "layer.json").write_text("{}")
    with pytest.raises(ContentCorrupt):
        driver.diff_id(ONE)


def test_g3_records_that_are_bent_into_a_ring_are_damage(driver: GraphVfs, root: Path) -> None:
    put(driver, LOWEST, ONE)
    put(driver, UPPER, TWO, ONE)
    record = root / "vfs/puller" / ONE / "layer.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "parent": TWO}))
    with pytest.raises(ContentCorrupt, match="made from itself"):
        driver.size(TWO, ONE)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", ["layer.json", "altered.jsonl"])
def test_h1_a_pipe_in_place_of_what_is_kept_of_a_tree_is_not_waited_for(
    driver: GraphVfs, root: Path, name: str
) -> None:
    put(driver, LOWEST, ONE)
    kept = root / "vfs/puller" / ONE / name
    kept.unlink()
    os.mkfifo(kept)
    with pytest.raises(ContentCorrupt, match="no file"):
        driver.size(ONE, None)


def test_d6_a_record_that_is_too_long_is_not_read_to_its_end(driver: GraphVfs, root: Path) -> None:
    put(driver, LOWEST, ONE)
    os.truncate(root / "vfs/puller" / ONE / "layer.json", 1 << 40)
    with pytest.raises(ContentCorrupt, match="too large"):
        driver.diff_id(ONE)


def test_r11_a_tree_can_be_removed_where_the_disk_has_no_room_for_another_name(root: Path) -> None:
    root.mkdir()
    options = ["-o", "size=8m,nr_inodes=40", "tmpfs", str(root)]
    if subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        driver = opened(root)
        put(driver, LOWEST, ONE)
        for number in range(os.statvfs(root).f_ffree):
            (root / f"{number}").touch()
        with pytest.raises(OSError, match="No space left"):
            (root / "one more").touch()
        driver.remove(ONE)
        assert [*(root / "vfs/dir").iterdir(), *(root / "vfs/puller").glob("[0-9]*")] == []
    finally:
        subprocess.run(["umount", str(root)], check=True)


def test_jailed_processes_unpack_as_this_one_does(driver: GraphVfs, root: Path, tmp_path: Path) -> None:
    stack = [layer(folder("real"), symlink("l", "real"), file("a", "1")), layer(file("l/f"), hardlink("b", "a"))]
    with Crew(Manner(limits=SMALL)) as crew:
        jailed = GraphVfs(GraphShelf(tmp_path / "jailed"), crew)
        for made in (jailed, driver):
            put(made, stack[0], ONE)
            put(made, stack[1], TWO, ONE)
    assert portrait(tree(tmp_path / "jailed", TWO)) == portrait(tree(root, TWO))


@pytest.mark.parametrize("who", list(NAMES), ids=NAMES.get)
def test_anybody_makes_reads_and_removes_trees_with_what_its_owner_may_not_touch(who: Who, scratch: Path) -> None:
    foreign = tree(scratch / "docker", FOREIGN)
    foreign.mkdir(parents=True)
    (foreign / "d").mkdir()
    foreign.chmod(0o555)
    give(scratch, who)
    told = json.loads(run(who, "tests.rootfs.graphmaker", str(scratch / "docker"), libraries=True))
    del told["error"]
    assert told == {"content": "secret", "size": 3, "mode": "0o40555", "left": [IDS[0]], "work": []}


def test_a_file_that_only_root_may_read_is_an_error_that_says_so(scratch: Path) -> None:
    foreign = tree(scratch / "docker", FOREIGN)
    foreign.mkdir(parents=True)
    (foreign / "secret").touch(0o000)
    give(scratch, NOBODY)
    told = json.loads(run(NOBODY, "tests.rootfs.graphmaker", str(scratch / "docker"), libraries=True))
    assert told["error"] == ["StoreUnusable", "Only root can read this file: run puller as root."]


@pytest.mark.parametrize("first", [0, 2800])
def test_what_was_recorded_of_a_layer_is_put_together_again_from_its_tree(first: int, driver: GraphVfs) -> None:
    def content(name: bytes) -> Iterator[bytes]:
        with os.fdopen(driver.content(ONE, name), "rb") as opened_file:
            yield from iter(lambda: opened_file.read(1000), b"")

    taken, replaced = 0, []
    for seed in range(first, first + 300):
        archive = generated(seed)
        lines: list[bytes] = []
        try:
            feed(TarSplitRecorder(lines.append), archive)
            put(driver, archive, ONE)
        except PullerError:
            continue
        taken += 1
        try:
            assert b"".join(assemble(lines, content)) == archive, seed
        except ContentCorrupt:
            replaced.append(seed)
    assert taken > 40
    # In this one a file stands where another one had a directory: of the first nothing is left.
    assert replaced == [seed for seed in (3008,) if first == 2800]
