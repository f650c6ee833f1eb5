"""What a layer in overlayfs form changes, told from its own directory."""

import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest

from puller.model.change import Change
from puller.rootfs import covered
from puller.rootfs.applied import Applied
from puller.rootfs.changes import compare
from puller.rootfs.erasing import Erasing
from puller.rootfs.gathering import Gathering
from puller.rootfs.survey import Stratum
from tests.rootfs.layering import apply, file, folder, layer, seated, symlink, words
from tests.rootfs.portrait import portrait
from tests.rootfs.stories import STORIES, Story
from tests.rootfs.trees import flat, opened, told

pytestmark = pytest.mark.slow  # many small tests: for `make test`

BASE = layer(folder("d", mtime=5), file("d/a", "1", mtime=5), file("d/b", "22", mtime=5), file("c", "333", mtime=5))


def stacked(base: Path, archives: Sequence[bytes]) -> tuple[list[Path], Applied]:
    """Layers apart in overlayfs form, the lowest first, and what the last one did."""
    found: list[Path] = []
    applied = Applied(0, 0, ())
    for number, archive in enumerate(archives):
        upper = base / str(number)
        upper.mkdir()
        applied = apply(upper, archive, whiteouts=Gathering())
        assert seated(upper, found, applied) == ()
        found.append(upper)
    return found, applied


def changes(base: Path, *archives: bytes) -> list[Change]:
    layers, applied = stacked(base, archives)
    with opened(*reversed(layers)) as fds:
        upper, *lowers = map(Stratum, fds)
        return covered.changes(upper, lowers, is_root_opaque=applied.is_root_opaque)


def packed(base: Path, *archives: bytes) -> bytes:
    layers, applied = stacked(base, archives)
    with opened(layers[-1]) as (upper,):
        return b"".join(covered.pack(Stratum(upper), is_root_opaque=applied.is_root_opaque))


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=BytesIO(archive)) as found:
        return [member.name for member in found]


def test_marks_are_deletions(tmp_path: Path) -> None:
    upper = layer(file("d/.wh.a"), file("c", "4444", mtime=6))
    assert told(changes(tmp_path, BASE, upper)) == ["C /c size mtime", "D /d/a"]


def test_what_the_layer_says_again_is_no_change(tmp_path: Path) -> None:
    upper = layer(folder("d", mtime=5), file("d/a", "1", mtime=5), symlink("l", "c"))
    assert told(changes(tmp_path, BASE, upper)) == ["A /l"]


def test_an_opaque_folder_deletes_what_it_does_not_hold(tmp_path: Path) -> None:
    upper = layer(folder("d", mtime=5), file("d/.wh..wh..opq"), file("d/b", "22", mtime=5))
    assert told(changes(tmp_path, BASE, upper)) == ["D /d/a"]


def test_an_opaque_root_deletes_all_it_does_not_hold(tmp_path: Path) -> None:
    assert told(changes(tmp_path, BASE, layer(file(".wh..wh..opq"), file("c", "333", mtime=5)))) == ["D /d"]


def test_the_lowest_layer_adds_all(tmp_path: Path) -> None:
    assert [str(change) for change in changes(tmp_path, BASE)] == ["A /", "A /c", "A /d", "A /d/a", "A /d/b"]


def test_whiteouts_come_first_in_their_folder(tmp_path: Path) -> None:
    upper = layer(folder("d", mtime=5), file("d/A", "1"), file("d/.wh.b"), file("d/.wh.a"), file(".wh.c"))
    assert names(packed(tmp_path, BASE, upper)) == [".", ".wh.c", "d", "d/.wh.a", "d/.wh.b", "d/A"]


def test_opaque_folders_say_so(tmp_path: Path) -> None:
    upper = layer(folder("d"), file("d/.wh..wh..opq"), file("d/A", "1"))
    assert names(packed(tmp_path, BASE, upper)) == [".", "d", "d/.wh..wh..opq", "d/A"]
    (tmp_path / "root").mkdir()
    assert names(packed(tmp_path / "root", BASE, layer(file(".wh..wh..opq")))) == [".", ".wh..wh..opq"]


def test_a_size_is_that_of_what_changed(tmp_path: Path) -> None:
    layers, _ = stacked(tmp_path, [BASE, layer(file("d/a", "1", mtime=5), file("c", "4444"), file("e", "55555"))])
    with opened(*reversed(layers)) as fds:
        upper, lower = map(Stratum, fds)
        assert covered.size(upper, [lower]) == 9


@pytest.mark.parametrize("story", [s for s in STORIES if s.alone and len(s.layers) > 1], ids=lambda story: story.name)
def test_both_differs_agree_on_every_story(story: Story, tmp_path: Path) -> None:
    (tmp_path / "apart").mkdir()
    natively = changes(tmp_path / "apart", *story.layers)
    old, new = flat(tmp_path / "old", story.layers[:-1]), flat(tmp_path / "new", story.layers)
    with opened(old, new) as (before, now):
        assert natively == compare(before, now)


@pytest.mark.parametrize("story", [s for s in STORIES if s.alone and s.layers], ids=lambda story: story.name)
def test_a_layer_packed_again_gives_the_same_tree(story: Story, tmp_path: Path) -> None:
    (tmp_path / "apart").mkdir()
    archive = packed(tmp_path / "apart", *story.layers)
    tree = flat(tmp_path / "tree", story.layers[:-1])
    apply(tree, archive, whiteouts=Erasing())
    assert words(tree) == story.tree
    assert portrait(tree) == portrait(flat(tmp_path / "new", story.layers))
