"""`puller unpack`, `export`, `changes`, and what unpacking adds to `pull`, `rm` and `gc`."""

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from puller.model.digest import Digest
from puller.store.layout import Layout
from testregistry import TestRegistry, images
from tests.cli.conftest import Puller
from tests.cli.mounting import mounted
from tests.cli.picture import BASE, IMAGE, PLATFORM, TOP
from tests.ops.shelf import chain

pytestmark = pytest.mark.slow  # many small tests: for `make test`

NAMES = chain(Digest.parse(BASE.diff_id), Digest.parse(TOP.diff_id))
OTHER = images.image(BASE, images.layer({"etc/.wh.motd": b"", "srv/new": b"new\n"}), platform=PLATFORM)
ESCAPING = images.image(BASE, images.layer({"../victim": b"escaped"}), platform=PLATFORM)


def layers(home: Path, driver: str = "overlay") -> list[str]:
    """The names of the unpacked layers in the store, base first as far as names tell."""
    return sorted((path.name for path in (home / "store/layers" / driver).glob("*")), key=NAMES.index)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


TREE = {"etc/motd": b"hello\n" * 100, "srv/app.py": b"print('app')\n"}


# --- pull ------------------------------------------------------------------------------------------------------------


def test_pull_unpacks_into_the_store(puller: Puller, registry: TestRegistry, home: Path) -> None:
    registry.add("app:1", IMAGE)
    end = puller(registry.name("app:1"))
    assert end.code == 0
    assert " unpacked, " in end.out
    assert layers(home) == NAMES
    assert content(home / f"store/layers/overlay/{NAMES[1]}/diff") == {"srv/app.py": TREE["srv/app.py"]}


def test_inspect_says_where_an_image_is_unpacked(puller: Puller, registry: TestRegistry, home: Path) -> None:
    registry.add("app:1", IMAGE)
    puller(registry.name("app:1"), "--no-unpack")
    assert "unpacked" not in json.loads(puller("inspect", registry.name("app:1")).out)
    puller(registry.name("app:1"))
    told = json.loads(puller("inspect", registry.name("app:1")).out)["unpacked"]
    assert told == {"driver": "overlay", "path": str(home / f"store/layers/overlay/{NAMES[1]}/diff")}


def test_pull_may_keep_full_trees_instead(puller: Puller, registry: TestRegistry, home: Path) -> None:
    registry.add("app:1", IMAGE)
    assert puller(registry.name("app:1"), "--driver", "vfs").code == 0
    assert layers(home, "vfs") == NAMES
    assert content(home / f"store/layers/vfs/{NAMES[1]}/tree") == TREE


@pytest.mark.parametrize("word", ["--no-unpack", "--all-platforms"])
def test_pull_may_leave_unpacking_out(puller: Puller, registry: TestRegistry, home: Path, word: str) -> None:
    registry.add("app:1", IMAGE)
    end = puller(registry.name("app:1"), word)
    assert (end.code, "unpacked" in end.out, layers(home)) == (0, False, [])


def test_a_second_pull_unpacks_nothing_again(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    puller(registry.name("app:1"))
    assert "unpacked before" in puller(registry.name("app:1")).out


def test_discarded_blobs_are_paid_for_once_and_not_missed(puller: Puller, registry: TestRegistry, home: Path) -> None:
    registry.add("app:1", IMAGE)
    name = registry.name("app:1")
    assert "discarded 2 blobs" in puller(name, "--discard-blobs").err
    blob = Layout(home / "store").blob(Digest.parse(BASE.digest))
    assert not blob.exists()
    assert puller("verify", name).code == 0
    assert " 0 B fetched" not in puller(name).out
    assert not blob.exists()
    assert puller(name, "--no-unpack").code == 0
    assert blob.read_bytes() == BASE.raw


def test_discarding_what_is_not_unpacked_is_refused(puller: Puller) -> None:
    assert puller("app", "--no-unpack", "--discard-blobs").code == 2


def test_rm_frees_the_unpacked_layers_that_no_other_image_needs(
    puller: Puller, registry: TestRegistry, home: Path
) -> None:
    registry.add("app:1", IMAGE)
    registry.add("app:2", images.image(BASE, platform=PLATFORM))
    puller(registry.name("app:1"), registry.name("app:2"))
    assert layers(home) == NAMES
    assert "1 unpacked layer" in puller("rm", registry.name("app:1")).out
    assert layers(home) == NAMES[:1]


def test_f1_a_layer_that_reaches_out_is_refused_and_nothing_of_the_image_appears(
    puller: Puller, registry: TestRegistry, home: Path
) -> None:
    registry.add("app:1", ESCAPING)
    end = puller(registry.name("app:1"))
    assert end.code == 3
    assert "[UnsafePath]" in end.err
    assert "layer 2" in end.err
    assert puller("images").out.count("\n") == 1
    assert list((home / "store/layers/staging").iterdir()) == []


# --- unpack ----------------------------------------------------------------------------------------------------------


def test_unpack_makes_the_directory_the_root(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    registry.add("app:1", IMAGE)
    end = puller("unpack", registry.name("app:1"), str(tmp_path / "root"))
    assert end.code == 0, end.err
    assert content(tmp_path / "root") == TREE
    assert end.out.startswith(f"unpacked {registry.name('app:1')} into {tmp_path / 'root'}  2 layers, ")


def test_unpack_asks_no_registry_for_what_the_store_has(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    registry.add("app:1", IMAGE)
    puller(registry.name("app:1"), "--no-unpack")
    before = len(registry.journal)
    assert puller("unpack", registry.name("app:1"), str(tmp_path / "root")).code == 0
    assert len(registry.journal) == before


def test_l7_unpack_fetches_again_what_has_gone_bad(
    puller: Puller, registry: TestRegistry, home: Path, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    puller(registry.name("app:1"), "--no-unpack")
    blob = Layout(home / "store").blob(Digest.parse(TOP.digest))
    blob.chmod(0o600)
    blob.write_bytes(TOP.raw[:-1] + b"\0")
    assert puller("unpack", registry.name("app:1"), str(tmp_path / "root")).code == 0
    assert content(tmp_path / "root") == TREE


def test_unpack_tells_programs_in_json_only(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    registry.add("app:1", IMAGE)
    end = puller("unpack", registry.name("app:1"), str(tmp_path / "root"), "--json")
    *_, last = map(json.loads, end.out.splitlines())
    assert (last["event"], last["report"]["path"]) == ("done", str(tmp_path / "root"))


def test_unpack_takes_an_empty_directory_and_no_other(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    registry.add("app:1", IMAGE)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    assert puller("unpack", registry.name("app:1"), str(tmp_path / "empty")).code == 0
    assert content(tmp_path / "empty") == TREE
    end = puller("unpack", registry.name("app:1"), str(tmp_path / "full"))
    assert (end.code, content(tmp_path / "full")) == (2, {"file": b"mine"})


def test_f1_r4_a_refused_unpack_leaves_neither_the_directory_nor_anything_beside_it(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", ESCAPING)
    place = tmp_path / "place"
    place.mkdir()
    end = puller("unpack", registry.name("app:1"), str(place / "root"))
    assert end.code == 3
    assert "[UnsafePath]" in end.err
    assert list(place.iterdir()) == []


def test_c22_the_result_of_unpack_is_one_line_whatever_the_directory_is_called(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    end = puller("unpack", registry.name("app:1"), str(tmp_path / "a\n\x1b[2Jb"), "-q")
    assert end.code == 0
    assert "a\\x0a\\x1b[2Jb  2 layers" in end.out
    assert end.out.count("\n") == 1


def test_unpack_reports_what_the_tree_does_not_show(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    registry.add("app:1", images.image(images.layer({"null": images.Device("c", 1, 3)}), platform=PLATFORM))
    file = tmp_path / "report.json"
    end = puller("unpack", registry.name("app:1"), str(tmp_path / "root"), "--report", str(file))
    (unpacked,) = json.loads(file.read_text())["unpacked"]
    (altered,) = unpacked["layers"][0]["altered"]
    assert (altered["what"], altered["count"], altered["examples"]) == ("device", 1, ["null"])
    assert "1 × device not as the layers say" in end.err
    sidecar = (tmp_path / "root.altered.jsonl").read_text()
    assert json.loads(sidecar)["value"] == "c 1:3"


@pytest.mark.parametrize("words", [("--uid-map", "0:1"), ("--gid-map", "a:b:c"), ("--platform", "x y")])
def test_unpack_refuses_wrong_words_before_anything_is_asked(
    puller: Puller, registry: TestRegistry, tmp_path: Path, words: tuple[str, ...]
) -> None:
    end = puller("unpack", registry.name("app:1"), str(tmp_path / "root"), *words)
    assert (end.code, len(registry.journal)) == (2, 0)


# --- export ----------------------------------------------------------------------------------------------------------


def members(raw: bytes) -> dict[str, bytes]:
    """The files of an archive."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive if one.isfile()}  # type: ignore[union-attr]  # files have content


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_export_writes_the_whole_tree_the_same_each_time(
    puller: Puller, registry: TestRegistry, tmp_path: Path, driver: str
) -> None:
    registry.add("app:1", OTHER)
    files = [tmp_path / name for name in ("a.tar", "b.tar")]
    for number, file in enumerate(files):
        store = str(tmp_path / f"store{number}")
        words = ("export", registry.name("app:1"), "-o", str(file), "--store", store, "--driver", driver)
        assert puller(*words).code == 0
    assert members(files[0].read_bytes()) == {"./srv/new": b"new\n"} or members(files[0].read_bytes()) == {
        "srv/new": b"new\n"
    }
    assert files[0].read_bytes() == files[1].read_bytes()
    assert {path.name for path in tmp_path.iterdir() if "tar" in path.name} == {"a.tar", "b.tar"}


def test_export_of_what_cannot_be_had_leaves_no_file(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    assert puller("export", registry.name("app:1"), "-o", str(tmp_path / "a.tar")).code == 1
    assert [path.name for path in tmp_path.iterdir() if "tar" in path.name] == []


def test_h1_export_follows_no_link_that_was_planted_for_its_unfinished_file(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / ".a.tar.unfinished").symlink_to(victim)
    assert puller("export", registry.name("app:1"), "-o", str(tmp_path / "a.tar")).code == 0
    assert victim.read_bytes() == b"precious"
    assert members((tmp_path / "a.tar").read_bytes())


@pytest.mark.parametrize("word", ["", ".", "/", "pipe", "folder", "x" * 300, "no/where"])
def test_export_to_what_cannot_be_a_file_is_a_wrong_word_and_stays_what_it_is(
    puller: Puller, registry: TestRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    registry.add("app:1", IMAGE)
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("folder").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    assert puller("export", registry.name("app:1"), "-o", word).code == 2
    assert Path("pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert registry.journal.requests == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a small file system of its own")
def test_r11_export_to_a_full_disk_is_told_as_one_and_leaves_nothing(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        end = puller("export", registry.name("app:1"), "-o", str(disk / "a.tar"))
        left = list(disk.iterdir())
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert (end.code, "NoSpace" in end.err, left) == (1, True, [])


# --- changes ---------------------------------------------------------------------------------------------------------


def test_changes_takes_a_word_too_long_for_any_file_as_a_wrong_reference(puller: Puller, tmp_path: Path) -> None:
    assert puller("changes", "Y" * 300, str(tmp_path)).code == 2


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_changes_lists_what_differs_between_two_images(puller: Puller, registry: TestRegistry, driver: str) -> None:
    registry.add("app:1", IMAGE)
    registry.add("app:2", OTHER)
    end = puller("changes", registry.name("app:1"), registry.name("app:2"), "--driver", driver)
    assert end.code == 0, end.err
    assert [line.split("  ")[0] for line in end.out.splitlines() if line[0] != "C"] == [
        "D /etc/motd",
        "D /srv/app.py",
        "A /srv/new",
    ]


def test_changes_between_an_image_and_its_own_tree_are_none(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    name, root = registry.name("app:1"), tmp_path / "root"
    puller("unpack", name, str(root))
    assert puller("changes", name, str(root), "--strict").out == ""
    (root / "srv/app.py").write_text("print('else')\n")
    end = puller("changes", name, str(root), "--json")
    (change,) = map(json.loads, end.out.splitlines())
    assert (change["kind"], change["path"]) == ("C", "/srv/app.py")
    assert "size" in change["differs"]


def test_changes_calls_a_directory_that_is_not_there_one(puller: Puller) -> None:
    end = puller("changes", "./nowhere", "app")
    assert (end.code, "no directory that can be read" in end.err) == (2, True)


# --- mount -----------------------------------------------------------------------------------------------------------


def test_mount_shows_the_tree_and_keeps_it_until_umount(
    puller: Puller, registry: TestRegistry, home: Path, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    name, target = registry.name("app:1"), tmp_path / "shown"
    with mounted(puller, name, target):
        assert content(target) == TREE
        assert puller("rm", name).code == 0
        assert puller("gc").code == 0
        assert content(target) == TREE
    assert content(target) == {}
    assert puller("gc").code == 0
    assert layers(home) == []


def test_mount_shows_no_second_image_where_one_is_shown(
    puller: Puller, registry: TestRegistry, home: Path, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    registry.add("other:1", OTHER)
    name, target = registry.name("app:1"), tmp_path / "shown"
    with mounted(puller, name, target):
        end = puller("mount", registry.name("other:1"), str(target))
        assert (end.code, "mounted there already" in end.err, "puller umount" in end.err) == (2, True, True)
        assert puller("rm", name).code == 0
        assert content(target) == TREE
    assert content(target) == {}


def test_r12_nothing_is_mounted_that_cannot_be_written_down(
    puller: Puller, registry: TestRegistry, home: Path, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    name, target = registry.name("app:1"), tmp_path / "shown"
    target.mkdir()
    assert puller(name).code == 0
    (home / "store/layers/mounts").write_bytes(b"no directory")
    end = puller("mount", name, str(target))
    is_mounted = target.is_mount()
    if is_mounted:
        subprocess.run(["umount", str(target)], check=True)
    assert (end.code, "[StoreUnusable]" in end.err, is_mounted) == (1, True, False)


def test_mount_hides_no_files(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    registry.add("app:1", IMAGE)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").touch()
    end = puller("mount", registry.name("app:1"), str(tmp_path / "mine"))
    assert (end.code, "not empty" in end.err) == (2, True)
    assert (tmp_path / "mine/file").exists()


def test_umount_takes_away_nothing_of_others(puller: Puller, tmp_path: Path) -> None:
    end = puller("umount", str(tmp_path))
    assert (end.code, "nothing of this store is mounted there" in end.err) == (2, True)
