"""What every driver of layers promises: one suite, run on each of them.

A subclass gives the fixture `driver`, on an empty shelf under `root`.
"""

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from puller.contracts.layers import Differ, Driver
from puller.errors import (
    ContentMissing,
    DiffIDMismatch,
    InputError,
    StoreError,
    TruncatedArchive,
    UnsafePath,
    Unsupported,
)
from puller.model.change import Kind
from puller.model.digest import Digest
from puller.rootfs.naive import differ_for
from puller.rootfs.shelved import Shelved
from tests.rootfs.jobs import quiet
from tests.rootfs.layering import DIR, file, folder, layer, open_files, words
from tests.rootfs.stacked import blob_of, name_of, put, put_all

LOWEST = layer(folder("d", mode=0o711, mtime=5), file("d/a", "1"), file("b", "22"))
UPPER = layer(file("d/.wh.a"), file("d/c", "333"))
STACK = (LOWEST, UPPER)
ONE, BOTH = name_of(STACK[:1]), name_of(STACK)


class Refusal(Exception):
    """What a listener raises."""


def refuse(read: int) -> None:
    raise Refusal


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@contextmanager
def shown(driver: Driver, layer: str) -> Iterator[Path]:
    """The whole tree of a layer; skips where this machine cannot show it."""
    with ExitStack() as stack:
        try:
            tree = stack.enter_context(driver.mounted(layer))
        except Unsupported as error:
            pytest.skip(str(error))
        yield tree


class DriverSuite:
    """Inherit, name it Test…, and give `driver` and `root`."""

    def test_r4_a_layer_is_here_when_it_is_committed_and_not_before(self, driver: Driver) -> None:
        with blob_of(LOWEST) as blob:
            staged = driver.unpack(ONE, blob, quiet)
            assert not driver.has(ONE)
            assert driver.layers() == []
            unpacked = driver.commit(staged, None, quiet)
        assert driver.has(ONE)
        assert driver.layers() == [ONE]
        assert (unpacked.entries, unpacked.size) == (3, 3)

    def test_the_tree_is_that_of_all_layers(self, driver: Driver) -> None:
        top = put_all(driver, STACK)
        with shown(driver, top) as tree:
            assert words(tree) == {"d": DIR, "d/c": "'333'", "b": "'22'"}
            state = (tree / "d").stat()
            assert (stat.S_IMODE(state.st_mode), state.st_mtime) == (0o711, 5)

    def test_a_layer_below_stays_as_it_was(self, driver: Driver) -> None:
        put_all(driver, STACK)
        with shown(driver, ONE) as tree:
            assert words(tree) == {"d": DIR, "d/a": "'1'", "b": "'22'"}

    def test_layers_know_their_parents(self, driver: Driver) -> None:
        put_all(driver, STACK)
        assert (driver.parent(BOTH), driver.parent(ONE)) == (ONE, None)

    def test_the_directories_of_a_tree_are_there(self, driver: Driver) -> None:
        put_all(driver, STACK)
        assert driver.lower(BOTH)[0] == driver.path(BOTH)
        assert all(path.is_dir() for path in driver.lower(BOTH))

    def test_each_layer_has_its_sidecar_and_a_tree_those_of_all(self, driver: Driver) -> None:
        put_all(driver, STACK)
        assert driver.sidecars(BOTH) == [driver.sidecar(ONE), driver.sidecar(BOTH)]
        assert all(path.is_file() for path in driver.sidecars(BOTH))

    def test_layers_can_be_unpacked_in_any_order_and_at_once(self, driver: Driver) -> None:
        names = [name_of(STACK[:1]), name_of(STACK)]
        staged = {}
        with blob_of(STACK[0]) as lowest, blob_of(STACK[1]) as upper:
            work = [(names[1], upper), (names[0], lowest)]

            def unpack(number: int) -> None:
                name, blob = work[number]
                staged[name] = driver.unpack(name, blob, quiet)

            threads = [threading.Thread(target=unpack, args=(number,)) for number in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            driver.commit(staged[names[0]], None, quiet)
            driver.commit(staged[names[1]], names[0], quiet)
        assert driver.layers() == sorted(names)

    def test_a_layer_that_is_here_already_is_kept_and_ours_dropped(self, driver: Driver, root: Path) -> None:
        put(driver, LOWEST, ONE)
        before = (driver.path(ONE)).stat().st_ino
        put(driver, LOWEST, ONE)
        assert driver.path(ONE).stat().st_ino == before
        assert everything(root / "staging") == []

    def test_a_discarded_layer_leaves_nothing(self, driver: Driver, root: Path) -> None:
        with blob_of(LOWEST) as blob:
            staged = driver.unpack(ONE, blob, quiet)
            driver.discard(staged)
            driver.discard(staged)
        assert everything(root / "staging") == []
        assert not driver.has(ONE)

    def test_d4_a_layer_of_another_diff_id_leaves_nothing(self, driver: Driver, root: Path) -> None:
        with blob_of(LOWEST, diff_id=Digest.of(b"other")) as blob, pytest.raises(DiffIDMismatch):
            driver.unpack(ONE, blob, quiet)
        assert everything(root / "staging") == []

    def test_a_broken_layer_leaves_nothing_and_no_file_open(self, driver: Driver, root: Path) -> None:
        before = open_files()
        with blob_of(LOWEST[:700]) as blob, pytest.raises(TruncatedArchive):
            driver.unpack(ONE, blob, quiet)
        assert everything(root / "staging") == []
        assert open_files() == before

    def test_what_the_listener_raises_ends_the_work_and_leaves_nothing(self, driver: Driver, root: Path) -> None:
        with blob_of(LOWEST) as blob, pytest.raises(Refusal):
            driver.unpack(ONE, blob, refuse)
        assert everything(root / "staging") == []

    def test_no_file_stays_open(self, driver: Driver) -> None:
        put_all(driver, STACK)
        before = open_files()
        put(driver, layer(file("x")), name_of((*STACK, b"x")), BOTH)
        differ_for(driver).changes(BOTH, ONE)
        assert open_files() == before

    def test_what_a_dead_process_left_under_the_name_is_no_hindrance(self, driver: Driver, root: Path) -> None:
        with blob_of(LOWEST) as blob:
            driver.unpack(ONE, blob, quiet)  # and nobody commits or discards it
        put(driver, LOWEST, ONE)
        assert driver.has(ONE)
        assert everything(root / "staging") == []

    def test_h1_a_link_planted_in_staging_is_not_followed(self, driver: Driver, root: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "canary").touch()
        put(driver, LOWEST, ONE)
        (root / "staging" / f"{driver.name}-{BOTH}").symlink_to(outside)
        put(driver, UPPER, BOTH, ONE)
        assert everything(outside) == ["canary"]
        assert not (root / driver.name / BOTH).is_symlink()

    def test_h1_a_link_in_place_of_the_staging_directory_is_refused(
        self, driver: Driver, root: Path, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        root.mkdir(exist_ok=True)
        if (root / "staging").exists():
            (root / "staging").rmdir()
        (root / "staging").symlink_to(outside)
        with blob_of(LOWEST) as blob, pytest.raises((StoreError, UnsafePath)):
            driver.unpack(ONE, blob, quiet)
        assert everything(outside) == []

    def test_f8_every_directory_above_a_tree_is_closed_to_others(self, driver: Driver, root: Path) -> None:
        looked = []

        def look(read: int) -> None:
            # Both while it is unpacked and afterwards.
            for path in (root, *root.rglob("*")):
                if path.is_dir() and len(path.relative_to(root).parts) <= 2:
                    looked.append(stat.S_IMODE(path.stat().st_mode) & 0o077)

        with blob_of(LOWEST) as blob:
            driver.commit(driver.unpack(ONE, blob, look), None, look)
        look(0)
        assert set(looked) == {0}
        assert len(looked) > 4

    def test_f8_directories_that_were_open_are_closed(self, driver: Driver, root: Path) -> None:
        for path in (root, root / driver.name, root / "staging"):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        put(driver, LOWEST, ONE)
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (root, root / driver.name, root / "staging")]
        assert modes == [0o700, 0o700, 0o700]

    @pytest.mark.parametrize("name", ["", "..", "a" * 63, "A" * 64, "g" * 64, "a" * 64 + "\n", "../" + "a" * 61])
    def test_a_name_that_is_none_is_refused(self, name: str, driver: Driver) -> None:
        with pytest.raises(InputError):
            driver.has(name)

    def test_a_layer_that_is_not_here_is_missing(self, driver: Driver) -> None:
        with pytest.raises(ContentMissing):
            driver.path(ONE)
        with pytest.raises(ContentMissing):
            driver.parent(ONE)

    def test_a_parent_that_is_not_here_is_missing_and_nothing_stays(self, driver: Driver, root: Path) -> None:
        with pytest.raises(ContentMissing):
            put(driver, UPPER, BOTH, ONE)
        assert everything(root / "staging") == []

    def test_a_removed_layer_is_gone_wholly(self, driver: Driver, root: Path) -> None:
        put_all(driver, STACK)
        driver.remove(BOTH)
        driver.remove(BOTH)
        assert driver.layers() == [ONE]
        assert not (root / driver.name / BOTH).exists()
        assert everything(root / "staging") == []

    def test_r4_what_dead_processes_left_is_swept_but_not_what_is_locked(self, driver: Shelved, root: Path) -> None:
        asked = []

        class Lock:
            def __init__(self, name: str) -> None:
                asked.append(name)
                self.free = name.endswith(ONE)

            def __enter__(self) -> bool:
                return self.free

            def __exit__(self, *error: object) -> None:
                return

        with blob_of(LOWEST) as blob:
            driver.unpack(ONE, blob, quiet)
            driver.unpack(BOTH, blob, quiet)
        assert driver.sweep(Lock) == [ONE]
        assert sorted(asked) == sorted(f"layer-{driver.name}-{name}" for name in (ONE, BOTH))
        assert [path.name for path in (root / "staging").iterdir()] == [f"{driver.name}-{BOTH}"]

    def test_its_differ_tells_what_a_layer_changes(self, driver: Driver) -> None:
        put_all(driver, STACK)
        differ: Differ = differ_for(driver)
        told = {(change.kind, change.path) for change in differ.changes(BOTH, ONE)}
        assert {(Kind.DELETED, b"d/a"), (Kind.ADDED, b"d/c")} <= told
        assert differ.size(BOTH, ONE) == 3

    def test_its_differ_gives_the_layer_again(self, driver: Driver) -> None:
        put_all(driver, STACK)
        differ = differ_for(driver)
        archive = b"".join(differ.diff(BOTH, ONE))
        again = name_of((LOWEST, archive, b"again"))
        with blob_of(archive) as blob:
            differ.apply(again, ONE, blob, quiet)
        with shown(driver, again) as tree:
            assert words(tree) == {"d": DIR, "d/c": "'333'", "b": "'22'"}

    def test_its_files_are_its_users_own_name_by_name(self, driver: Driver, root: Path) -> None:
        put(driver, LOWEST, ONE)
        found = {path.name for path in (root / driver.name / ONE).iterdir()}
        assert found == {"altered.jsonl", driver.path(ONE).name, "layer.json"}
        for name in ("altered.jsonl", "layer.json"):
            assert (root / driver.name / ONE / name).stat().st_uid == os.geteuid()
