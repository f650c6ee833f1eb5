"""An image unpacked into a plain directory: there and whole, or not there at all."""

import fcntl
import os
import stat
import subprocess
from pathlib import Path

import pytest

from puller.contracts.layers import Told
from puller.errors import (
    ContentCorrupt,
    DiffIDMismatch,
    InvalidArchive,
    InvalidConfig,
    LimitExceeded,
    NoSpace,
    StoreUnusable,
    TruncatedArchive,
)
from puller.model.digest import Digest
from puller.rootfs.crew import InProcess
from puller.rootfs.flat import Flat
from puller.rootfs.job import Job, Outcome
from puller.rootfs.manner import Manner
from puller.rootfs.sidecar import MOST, read_sidecar
from tests.rootfs.jobs import quiet
from tests.rootfs.layering import DIR, SMALL, device, file, folder, hardlink, layer, open_files, symlink, words
from tests.rootfs.stacked import blob_of
from tests.rootfs.stories import STORIES, Story

STACK = (layer(folder("d", mode=0o711, mtime=5), file("d/a", "1")), layer(file("d/.wh.a"), file("b", "22")))
TREE = {"d": DIR, "b": "'22'"}
ODD = layer(device("null", 1, 3))  # not asked for: an empty file in its place


def flat(target: Path) -> Flat:
    return Flat(target, InProcess(Manner(limits=SMALL)), durable=False, token=lambda: "0123abcd")


def add(making: Flat, archive: bytes, diff_id: Digest | None = None) -> None:
    with blob_of(archive, diff_id=diff_id) as blob:
        making.merge(making.unpack(Digest.of(archive).hex, blob, quiet), quiet)


def make(target: Path, *archives: bytes) -> None:
    with flat(target) as making:
        for archive in archives:
            add(making, archive)
        making.commit()


def beside(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_tree_is_that_of_the_specification(story: Story, target: Path) -> None:
    make(target, *story.layers)
    assert words(target) == story.tree
    assert set(beside(target)) <= {"root", "root.altered.jsonl"}


def test_r4_nothing_is_there_before_all_of_it_is(target: Path) -> None:
    with flat(target) as making:
        for archive in STACK:
            add(making, archive)
        assert not target.exists()
        making.commit()
        assert words(target) == TREE
    assert beside(target) == ["root"]


def test_layers_are_unpacked_in_any_order_and_merged_in_theirs(target: Path) -> None:
    with flat(target) as making, blob_of(STACK[0]) as lowest, blob_of(STACK[1]) as upper:
        later = making.unpack("b" * 64, upper, quiet)
        first = making.unpack("a" * 64, lowest, quiet)
        making.merge(first, quiet)
        making.merge(later, quiet)
        making.commit()
    assert words(target) == TREE


def test_the_directory_has_the_looks_of_the_root(target: Path) -> None:
    make(target, layer(folder(".", mode=0o750, mtime=7)))
    state = target.stat()
    assert (stat.S_IMODE(state.st_mode), state.st_mtime) == (0o750, 7)


def test_an_image_without_layers_is_an_empty_directory(target: Path) -> None:
    make(target)
    state = target.stat()
    assert (stat.S_IMODE(state.st_mode), state.st_mtime) == (0o755, 0)


def test_an_empty_directory_is_replaced(target: Path) -> None:
    target.mkdir()
    make(target, *STACK)
    assert words(target) == TREE


def test_the_current_directory_can_be_named_by_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    make(Path(), *STACK)
    assert words(here) == TREE


@pytest.mark.parametrize("kind", ["full", "file", "link", "dangling", "orphan", "below a file"])
def test_a_place_that_cannot_be_used_is_refused_and_stays(kind: str, target: Path) -> None:
    place = target
    match kind:
        case "full":
            target.mkdir()
            (target / "x").touch()
        case "file":
            target.write_text("mine")
        case "link":
            (target.parent / "elsewhere").mkdir()
            target.symlink_to("elsewhere")
        case "dangling":
            target.symlink_to("nowhere")
        case "orphan":
            place = target / "no" / "where"
        case "below a file":
            target.write_text("mine")
            place = target / "x"
    before = beside(target)
    with pytest.raises(InvalidConfig):
        make(place, *STACK)
    assert beside(target) == before


def test_the_root_of_all_is_refused() -> None:
    with pytest.raises(InvalidConfig):
        make(Path("/"), *STACK)


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no mount point to try it on")
def test_a_mount_point_is_refused() -> None:
    with pytest.raises(InvalidConfig):
        make(Path("/dev/shm"), *STACK)


@pytest.mark.parametrize("existed", [False, True])
@pytest.mark.parametrize(
    ("archive", "error"),
    [(STACK[0][:700], TruncatedArchive), (layer(hardlink("b", "nowhere")), InvalidArchive)],
)
def test_a_refused_layer_leaves_nothing_and_an_empty_directory_stays(
    archive: bytes, error: type[Exception], existed: bool, target: Path
) -> None:
    if existed:
        target.mkdir()
    before = open_files()
    with pytest.raises(error):
        make(target, STACK[0], archive)
    assert beside(target) == (["root"] if existed else [])
    assert not existed or words(target) == {}
    assert open_files() == before


def test_d4_a_layer_of_another_diff_id_leaves_nothing(target: Path) -> None:
    with flat(target) as making, pytest.raises(DiffIDMismatch):
        add(making, STACK[0], Digest.of(b"other"))
    assert beside(target) == []


def test_a_directory_that_was_filled_meanwhile_is_refused_and_stays(target: Path) -> None:
    with flat(target) as making:
        add(making, ODD)
        target.mkdir()
        (target / "mine").touch()
        with pytest.raises(StoreUnusable):
            making.commit()
    assert beside(target) == ["root"]
    assert words(target) == {"mine": "''"}


def test_leaving_without_commit_leaves_nothing(target: Path) -> None:
    with flat(target) as making:
        add(making, STACK[0])
    assert beside(target) == []


def test_a_discarded_layer_leaves_nothing_and_may_come_again(target: Path) -> None:
    with flat(target) as making, blob_of(STACK[0]) as blob:
        staged = making.unpack("a" * 64, blob, quiet)
        making.discard(staged)
        making.discard(staged)
        assert words(target.parent / ".root.puller-0123abcd") == {}
        making.merge(making.unpack("a" * 64, blob, quiet), quiet)
        making.commit()
    assert words(target) == {"d": DIR, "d/a": "'1'"}


def test_what_was_altered_is_told_beside_it_for_all_layers_in_order(target: Path) -> None:
    make(target, ODD, layer(device("zero", 1, 5)))
    assert beside(target) == ["root", "root.altered.jsonl"]
    told = list(read_sidecar(target.parent / "root.altered.jsonl"))
    assert [(one.path, one.what, one.value) for one in told if one.what == "device"] == [
        (b"null", "device", "c 1:3"),
        (b"zero", "device", "c 1:5"),
    ]


def test_a_sidecar_of_an_earlier_tree_is_not_left_beside_one_that_needs_none(target: Path) -> None:
    (target.parent / "root.altered.jsonl").write_text("old")
    make(target, *STACK)
    assert beside(target) == ["root"]


def test_f8_what_is_in_the_making_is_closed_to_others(target: Path) -> None:
    with flat(target) as making:
        add(making, layer(folder(".", mode=0o777), file("s", mode=0o4755)))
        assert stat.S_IMODE((target.parent / ".root.puller-0123abcd").stat().st_mode) == 0o700


def test_r4_what_a_dead_process_left_is_swept_and_what_lives_is_not(target: Path) -> None:
    for name in (".root.puller-00000001", ".root.puller-00000002", ".root.puller-notes", ".other.puller-00000001"):
        (target.parent / name / "tree").mkdir(parents=True)
    fd = os.open(target.parent / ".root.puller-00000002", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        make(target, *STACK)
    finally:
        os.close(fd)
    assert beside(target) == [".other.puller-00000001", ".root.puller-00000002", ".root.puller-notes", "root"]


def test_r4_what_a_child_still_writes_is_not_swept(target: Path) -> None:
    left = target.parent / ".root.puller-00000001"
    (left / "layer-1").mkdir(parents=True)
    fd = os.open(left / "layer-1", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    try:
        make(target, *STACK)
    finally:
        os.close(fd)
    assert beside(target) == [".root.puller-00000001", "root"]


def test_r4_the_sidecar_of_one_that_died_before_its_tree_was_shown_is_swept(target: Path) -> None:
    left = target.parent / ".root.puller-00000001"
    (left / "tree").mkdir(parents=True)
    (left / "altered.jsonl").write_text("told")
    (target.parent / "root.altered.jsonl").hardlink_to(left / "altered.jsonl")
    with flat(target):
        assert beside(target) == [".root.puller-0123abcd"]


def test_the_sidecar_of_a_tree_that_is_there_is_not_swept(target: Path) -> None:
    left = target.parent / ".root.puller-00000001"
    left.mkdir()
    (left / "altered.jsonl").write_text("told")
    (target.parent / "root.altered.jsonl").hardlink_to(left / "altered.jsonl")
    with flat(target):
        assert beside(target) == [".root.puller-0123abcd", "root.altered.jsonl"]


def test_h1_a_link_planted_for_what_is_in_the_making_is_not_followed(target: Path) -> None:
    outside = target.parent / "outside"
    outside.mkdir()
    (target.parent / ".root.puller-0123abcd").symlink_to(outside)
    with pytest.raises(StoreUnusable):
        make(target, *STACK)
    assert words(outside) == {}


def test_two_at_once_for_one_directory_are_two_and_the_later_is_refused(target: Path) -> None:
    other = Flat(target, InProcess(Manner(limits=SMALL)), durable=False)
    with flat(target) as one, other:
        add(one, STACK[0])
        add(other, STACK[0])
        one.commit()
        with pytest.raises(StoreUnusable):
            other.commit()
    assert beside(target) == ["root"]


@pytest.mark.parametrize("later", [ODD, STACK[0]], ids=["altered", "as its layers say"])
def test_r4_the_later_of_two_at_once_leaves_the_sidecar_of_the_first_beside_its_tree(
    target: Path, later: bytes
) -> None:
    sidecar = target.with_name("root.altered.jsonl")
    other = Flat(target, InProcess(Manner(limits=SMALL)), durable=False)
    with flat(target) as one, other:
        add(one, ODD)
        add(other, later)
        one.commit()
        told = sidecar.read_bytes()
        with pytest.raises(StoreUnusable):
            other.commit()
    assert sidecar.read_bytes() == told
    assert beside(target) == ["root", "root.altered.jsonl"]


def test_the_sidecar_of_an_earlier_tree_comes_back_where_the_new_one_cannot_be_shown(
    target: Path,
) -> None:
    sidecar = target.with_name("root.altered.jsonl")
    sidecar.write_bytes(b"of an earlier tree")
    with flat(target) as making:
        add(making, ODD)
        (target.parent / ".root.puller-0123abcd/tree").rename(target.parent / "stolen")
        with pytest.raises(StoreUnusable):
            making.commit()
    assert sidecar.read_bytes() == b"of an earlier tree"
    assert beside(target) == ["root.altered.jsonl", "stolen"]


def test_a_name_too_long_for_a_sidecar_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    make(tmp_path / ("x" * 241), ODD)
    with pytest.raises(InvalidConfig, match="too long"):
        make(tmp_path / ("x" * 242), ODD)
    assert len(beside(tmp_path / "x")) == 2


@pytest.mark.parametrize("parent", ["loop", "x" * 300])
def test_a_parent_that_cannot_be_one_is_a_wrong_word(tmp_path: Path, parent: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InvalidConfig, match="no parent"):
        make(tmp_path / parent / "root", ODD)


class _Scribbler(InProcess):
    """Writes more beside the tree than it may, as a child could that was taken over."""

    def unpack(self, job: Job, told: Told) -> Outcome:
        outcome = super().unpack(job, told)
        os.ftruncate(job.sidecar, MOST + 1)
        return outcome


def test_e9_d8_a_sidecar_that_is_too_long_is_not_read_by_those_without_walls(target: Path) -> None:
    with Flat(target, _Scribbler(Manner(limits=SMALL)), durable=False) as making:
        with pytest.raises(LimitExceeded, match="sidecar"):
            add(making, ODD)
    assert beside(target) == []


def test_a_tree_that_was_spoiled_is_never_shown(target: Path) -> None:
    with flat(target) as making:
        add(making, layer(folder("real"), symlink("l", "real")))
        with blob_of(layer(file("l/f", "1"))) as blob:
            staged = making.unpack("b" * 64, blob, quiet)
            os.ftruncate(blob.fd, 100)
            with pytest.raises((TruncatedArchive, DiffIDMismatch)):
                making.merge(staged, quiet)
        with pytest.raises(ContentCorrupt, match="went bad"):
            making.commit()
    assert beside(target) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a small file system of its own")
def test_r11_a_full_disk_leaves_nothing_and_gives_back_its_room(tmp_path: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        with pytest.raises(NoSpace):
            make(tmp_path / "root", STACK[0], layer(file("big", "x" * 600_000), file("bigger", "x" * 600_000)))
        assert beside(tmp_path / "root") == []
        assert os.statvfs(tmp_path).f_bfree * os.statvfs(tmp_path).f_frsize > 900_000
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
