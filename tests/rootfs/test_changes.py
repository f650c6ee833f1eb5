"""What is listed as changed, and what is not."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from puller.model.alteration import Alteration
from puller.model.change import Change, Kind
from puller.rootfs.changes import compare, size
from puller.rootfs.powers import Powers
from puller.rootfs.survey import Stratum
from tests.rootfs.layering import apply, file, folder, layer
from tests.rootfs.test_survey import grown, sidecar
from tests.rootfs.trees import compared, copied, opened, told

OWNERS = pytest.mark.skipif(not Powers.of_this_process().owners, reason="needs the right to give files away")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A tree as moby's tests have it, twice, with times that no clock gives."""
    old = grown(tmp_path / "old", "dir1/sub/deep", "dir1/file1-1", "dir1/file1-2", "dir2/file2-1", "dir3/", "file1")
    (old / "link").symlink_to("file1")
    for path in sorted(old.rglob("*"), reverse=True):
        os.utime(path, ns=(0, 10**18 + 1), follow_symlinks=False)
    os.utime(old, ns=(0, 10**18 + 1))
    return old, copied(old, tmp_path / "new")


def test_a_tree_and_its_copy_differ_in_nothing(pair: tuple[Path, Path]) -> None:
    assert compared(*pair, strict=True) == []


def test_what_changed_is_listed_in_order(pair: tuple[Path, Path]) -> None:
    old, new = pair
    (new / "dir1/file1-1").write_text("longer than before")
    (new / "dir1/file1-2").unlink()
    (new / "dir1/sub/new").touch()
    (new / "dir4").mkdir()
    (new / "dir4/file").touch()
    (new / "link").unlink()
    (new / "link").symlink_to("dir1")
    assert told(compared(old, new)) == [
        "C / mtime",
        "C /dir1 mtime",
        "C /dir1/file1-1 size mtime",
        "D /dir1/file1-2",
        "C /dir1/sub mtime",
        "A /dir1/sub/new",
        "A /dir4",
        "A /dir4/file",
        "C /link target mtime",
    ]


def test_of_what_was_deleted_only_the_top_is_listed(pair: tuple[Path, Path]) -> None:
    old, new = pair
    (new / "dir1").rename(new.parent / "away")
    os.utime(new, ns=(0, 10**18 + 1))
    assert told(compared(old, new)) == ["D /dir1"]


def test_a_folder_that_became_a_file_is_one_change_and_back_again_too(pair: tuple[Path, Path]) -> None:
    old, new = pair
    (new / "dir1").rename(new.parent / "away")
    (new / "dir1").write_text("")
    os.utime(new / "dir1", ns=(0, 10**18 + 1))
    os.utime(new, ns=(0, 10**18 + 1))
    assert told(compared(old, new)) == ["C /dir1 type mode"]
    assert told(compared(new, old)) == [
        "C /dir1 type mode",
        "A /dir1/file1-1",
        "A /dir1/file1-2",
        "A /dir1/sub",
        "A /dir1/sub/deep",
    ]


def test_names_that_continue_a_folders_name_are_not_in_it(tmp_path: Path) -> None:
    old, new = grown(tmp_path / "old", "d/", "d-x", "d.y/z"), grown(tmp_path / "new", "d/e", "d-x", "d.y/z", "d0")
    found = [str(change) for change in compared(old, new) if "mtime" not in change.differs]
    assert found == ["A /d/e", "A /d0"]


def test_a_folder_of_which_only_the_time_differs_is_listed_on_request_only(pair: tuple[Path, Path]) -> None:
    old, new = pair
    os.utime(new / "dir3", ns=(0, 5))
    assert compared(old, new) == []
    assert told(compared(old, new, directory_times=True)) == ["C /dir3 mtime"]
    assert told(compared(old, new, strict=True)) == ["C /dir3 mtime"]


def test_content_of_the_same_size_and_time_is_compared_only_where_asked(pair: tuple[Path, Path]) -> None:
    old, new = pair
    (new / "file1").write_text("elif1")
    os.utime(new / "file1", ns=(0, 10**18 + 1))
    assert compared(old, new) == []
    assert told(compared(old, new, strict=True)) == ["C /file1 content"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [(5 * 10**9, 5 * 10**9 + 7, True), (5 * 10**9 + 1, 5 * 10**9 + 7, False), (5 * 10**9, 6 * 10**9, False)],
)
def test_times_are_the_same_where_one_of_them_knows_seconds_only(
    one: int, other: int, same: bool, pair: tuple[Path, Path]
) -> None:
    old, new = pair
    os.utime(old / "file1", ns=(0, one))
    os.utime(new / "file1", ns=(0, other))
    assert (compared(old, new) == []) == same
    assert told(compared(old, new, strict=True)) == ["C /file1 mtime"]


CHANGES: dict[str, Callable[[Path], None]] = {
    "mode": lambda base: (base / "file1").chmod(0o4711),
    "xattrs": lambda base: os.setxattr(base / "file1", "user.a", b"1"),
}


@pytest.mark.parametrize("what", ["mode", "xattrs"])
def test_metadata_alone_is_a_change(what: str, pair: tuple[Path, Path]) -> None:
    old, new = pair
    CHANGES[what](new)
    assert told(compared(old, new)) == [f"C /file1 {what}"]


@OWNERS
def test_an_owner_alone_is_a_change(pair: tuple[Path, Path]) -> None:
    old, new = pair
    os.chown(new / "link", 0, 7, follow_symlinks=False)
    assert told(compared(old, new)) == ["C /link owner"]


def test_which_names_are_one_file_counts_where_all_does(tmp_path: Path) -> None:
    old = grown(tmp_path / "old", "a")
    (old / "b").hardlink_to(old / "a")
    new = grown(tmp_path / "new", "a")
    (new / "b").write_text("a")
    for path in (old / "a", new / "a", new / "b", old, new):
        os.utime(path, (0, 0))
    assert compared(old, new) == []
    assert told(compared(old, new, strict=True)) == ["C /b links"]


def test_from_nothing_all_is_added(tmp_path: Path) -> None:
    with opened(grown(tmp_path / "new", "d/e")) as (new,):
        assert [str(change) for change in compare(None, new)] == ["A /", "A /d", "A /d/e"]


@OWNERS
def test_sidecars_are_believed_on_both_sides(tmp_path: Path) -> None:
    old, new = grown(tmp_path / "old", "a"), grown(tmp_path / "new", "a")
    os.chown(new / "a", 5, 6)
    for base in (old, new):
        os.utime(base / "a", (0, 0))
        os.utime(base, (0, 0))
    said = sidecar(tmp_path / "s", Alteration(b"a", "owner", "5:6", ""))
    assert told(compared(old, new)) == ["C /a owner"]
    with opened(old, new) as (before, now):
        assert compare(before, now, old_sidecars=[said]) == []
        other = sidecar(tmp_path / "t", Alteration(b"a", "mode", "0o1", ""))
        assert told(compare(before, now, new_sidecars=[other])) == ["C /a mode owner"]


def test_siblings_upon_different_layers_are_compared_all_the_way_down(tmp_path: Path) -> None:
    top, one, other = (grown(tmp_path / name, f"d/{name}") for name in ("top", "one", "other"))
    with opened(top, one, other) as fds:
        upper, left, right = map(Stratum, fds)
        assert [str(change) for change in compare((upper, left), (upper, right))] == ["D /d/one", "A /d/other"]


def test_layers_applied_again_differ_in_nothing(tmp_path: Path) -> None:
    archive = layer(folder("d", mtime=5), file("d/f", "1", mtime=7))
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        apply(tmp_path / name, archive)
    assert compared(tmp_path / "old", tmp_path / "new", strict=True) == []


# --- size


def test_a_size_is_that_of_added_and_modified_files(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "d/abc", "e", "unchanged")
    (tree / "link").symlink_to("unchanged")
    changes = [Change(Kind.MODIFIED, path) for path in (b"d", b"e")]
    changes += [Change(Kind.ADDED, path) for path in (b"d/abc", b"link")]
    with opened(tree) as (fd,):
        assert size(fd, changes) == len("d/abc") + len("e")


def test_a_size_counts_a_file_with_two_names_once(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "abc")
    (tree / "link").hardlink_to(tree / "abc")
    with opened(tree) as (fd,):
        assert size(fd, [Change(Kind.ADDED, b"abc"), Change(Kind.ADDED, b"link")]) == 3


def test_deletions_and_nothing_have_no_size(tmp_path: Path) -> None:
    with opened(grown(tmp_path / "t", "abc")) as (fd,):
        assert size(fd, []) == size(fd, [Change(Kind.DELETED, b"abc")]) == 0
