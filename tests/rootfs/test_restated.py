"""Lines of lower sidecars do not outlive the files they tell of."""

import os
from collections.abc import Collection
from pathlib import Path

from puller.model.alteration import Alteration, What
from puller.rootfs.crew import InProcess
from puller.rootfs.finding import Finding
from puller.rootfs.manner import Manner
from puller.rootfs.restated import restated
from puller.rootfs.shelf import Shelf
from puller.rootfs.vfs import TREE, VfsDriver
from puller.stream.tarentry import CHARACTER_DEVICE, REGULAR
from tests.rootfs.layering import SMALL, device, file, layer
from tests.rootfs.stacked import put_all
from tests.rootfs.test_survey import OWNERS, found, grown, sidecar
from tests.rootfs.trees import opened


def line(path: bytes, what: What, value: str) -> Alteration:
    return Alteration(path, what, value, "")


def said(
    base: Path, upper: Path, *, below: list[Alteration], own: list[Alteration], without_entry: Collection[bytes] = ()
) -> dict[tuple[bytes, str], str]:
    with opened(upper) as (fd,):
        sidecars = [sidecar(base / "own", *own)], [sidecar(base / "below", *below)]
        return {(one.path, one.what): one.value for one in restated(fd, *sidecars, without_entry)}


def seen(base: Path, tree: Path, path: bytes) -> Finding:
    """By both sidecars and the lines between them, as the full tree shows it."""
    with opened(tree) as (fd,):
        lines = list(restated(fd, [base / "own"], [base / "below"], ()))
    return found(tree, path, base / "below", sidecar(base / "more", *lines), base / "own")


def test_what_is_not_replaced_needs_no_word(tmp_path: Path) -> None:
    upper = grown(tmp_path / "u", "other", "d/")
    below = [line(b"a", "mode", "0o4755"), line(b"d/a", "mode", "0o1"), line(b"other/a", "mode", "0o1")]
    assert said(tmp_path, upper, below=below, own=[]) == {}


def test_a_setuid_bit_told_below_is_not_that_of_the_file_that_replaces_it(tmp_path: Path) -> None:
    upper = grown(tmp_path / "u", "su")
    (upper / "su").chmod(0o755)
    assert said(tmp_path, upper, below=[line(b"su", "mode", "0o4755")], own=[]) == {(b"su", "mode"): "0o755"}
    assert seen(tmp_path, upper, b"su").mode == 0o755


def test_what_the_layer_tells_itself_is_not_told_twice(tmp_path: Path) -> None:
    upper = grown(tmp_path / "u", "su")
    own = [line(b"su", "mode", "0o2755")]
    assert said(tmp_path, upper, below=[line(b"su", "mode", "0o4755")], own=own) == {}


@OWNERS
def test_an_owner_told_below_gives_way_to_root(tmp_path: Path) -> None:
    upper = grown(tmp_path / "u", "a")
    os.chown(upper / "a", 1000, 1000)
    with opened(upper) as (fd,):
        own = [sidecar(tmp_path / "own", uid=1000)]
        below = [sidecar(tmp_path / "below", line(b"a", "owner", "5:5"), uid=1000)]
        assert [one.value for one in restated(fd, own, below, ())] == ["0:0"]


def test_a_folder_without_an_entry_keeps_what_is_said_of_it(tmp_path: Path) -> None:
    upper = grown(tmp_path / "u", "d/new")
    below = [line(b"d", "owner", "5:5"), line(b"", "owner", "6:6")]
    assert said(tmp_path, upper, below=below, own=[], without_entry=(b"d", b"")) == {}
    assert set(said(tmp_path / "u", upper, below=below, own=[])) == {(b"d", "owner"), (b"", "owner")}


def test_an_empty_file_is_no_device_any_more(tmp_path: Path) -> None:
    upper = grown(tmp_path / "u")
    (upper / "null").touch()
    assert said(tmp_path, upper, below=[line(b"null", "device", "c 1:3")], own=[]) == {(b"null", "device"): ""}
    assert seen(tmp_path, upper, b"null").type == REGULAR


def test_an_attribute_told_below_is_gone(tmp_path: Path) -> None:
    upper = grown(tmp_path / "u", "a")
    os.setxattr(upper / "a", "user.b", b"\1")
    below = [line(b"a", "xattr", "security.x=00"), line(b"a", "xattr", "user.b=07")]
    with opened(upper) as (fd,):
        sidecars = [sidecar(tmp_path / "own")], [sidecar(tmp_path / "below", *below)]
        assert [one.value for one in restated(fd, *sidecars, ())] == ["security.x", "user.b=01"]
    assert seen(tmp_path, upper, b"a").xattrs == {b"user.b": b"\1"}


def test_a_full_tree_is_told_of_rightly_by_all_its_sidecars(tmp_path: Path) -> None:
    driver = VfsDriver(Shelf(tmp_path / "layers", "vfs", TREE, durable=False), InProcess(Manner(limits=SMALL)))
    devices = layer(device("null", 1, 3), device("zero", 1, 5))
    top = put_all(driver, [devices, layer(file("null"), file("d/new")), layer(file("d/newer"))])
    kinds = {path: found(driver.path(top), path, *driver.sidecars(top)).type for path in (b"null", b"zero")}
    assert kinds == {b"null": REGULAR, b"zero": CHARACTER_DEVICE}
