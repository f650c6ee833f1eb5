"""The same trees as GNU tar and umoci make of real files; what may differ is named here."""

import os
import shutil
import subprocess
import sysconfig
import tarfile
from pathlib import Path

import pytest

from puller.rootfs.powers import Powers
from tests.rootfs.layering import apply, file, folder, hardlink, layer, symlink
from tests.rootfs.oci import oci_layout
from tests.rootfs.portrait import portrait

pytestmark = pytest.mark.slow


def _source(base: Path) -> Path:
    """A tree of real files with one of everything."""
    source = base / "source"
    source.mkdir()
    shutil.copytree(Path(sysconfig.get_path("stdlib")) / "email", source / "lib/email")
    shutil.copytree(Path(sysconfig.get_path("stdlib")) / "json", source / "lib/json")
    for number, path in enumerate(sorted(source.rglob("*"))):
        if Powers.of_this_process().owners:
            os.chown(path, number % 5, number % 3)
        path.chmod(0o4755 if number % 7 == 0 and path.is_file() else 0o755 if path.is_dir() else 0o640)
        os.setxattr(path, "user.number", str(number).encode())
        os.utime(path, ns=(0, 1_600_000_000_000_000_000 + number * 1_000_000_007))
    (source / "link").symlink_to("lib/json/decoder.py")
    (source / "hard").hardlink_to(source / "lib/json/decoder.py")
    (source / ("long" * 50)).mkdir()
    (source / ("long" * 50) / ("name" * 50)).write_text("long")
    os.mkfifo(source / "pipe", 0o600)
    (source / "empty").mkdir(mode=0o1777)
    (source / "odd\n\xff\u00e9").write_text("odd")
    return source


def _tar(source: Path, archive: Path, *options: str) -> None:
    command = ["tar", *options, "--xattrs", "--xattrs-include=user.*", "-cf", str(archive), "-C", str(source), "."]
    subprocess.run(command, check=True)


@pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar is not there")
@pytest.mark.parametrize("form", ["posix", "gnu"])
def test_the_same_tree_as_gnu_tar(form: str, tmp_path: Path) -> None:
    source = _source(tmp_path)
    archive = tmp_path / "layer.tar"
    _tar(source, archive, f"--format={form}", *(["--no-xattrs"] if form == "gnu" else []))
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    apply(ours, archive.read_bytes())
    extract = ["tar", "-xpf", str(archive), "-C", str(theirs), "--xattrs", "--xattrs-include=user.*"]
    subprocess.run([*extract, "--numeric-owner"], check=True)
    assert portrait(ours) == portrait(theirs)
    if form == "posix":
        assert portrait(ours) == portrait(source)


@pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not there")
@pytest.mark.skipif(not Powers.of_this_process().owners, reason="umoci unpacks otherwise for those who own nothing")
def test_the_same_tree_as_umoci_over_several_layers(tmp_path: Path) -> None:
    source = _source(tmp_path)
    archive = tmp_path / "layer.tar"
    _tar(source, archive, "--format=posix")
    upper = layer(
        folder("lib", mode=0o750, uid=3, mtime=77.5), folder("lib/json"), file("lib/json/.wh.tool.py"),
        file("lib/json/new.py", "new", mode=0o2755, mtime=3), file(".wh.link"), file("lib/email/.wh..wh..opq"),
        file("lib/email/only.py", "only"), symlink("to", "/lib/json"), file("to/through.py", "in"),
        hardlink("again", "hard"), file("hard", "replaced"), folder("pipe"), file("empty/f"), file(".wh.nothing"),
    )  # fmt: skip
    oci_layout(tmp_path / "image", [archive.read_bytes(), upper])
    bundle = tmp_path / "bundle"
    subprocess.run(["umoci", "unpack", "--image", f"{tmp_path}/image:x", str(bundle)], check=True, capture_output=True)
    ours = tmp_path / "ours"
    ours.mkdir()
    for content in (archive.read_bytes(), upper):
        apply(ours, content)
    found = portrait(ours)
    assert len(found) > 30
    assert found == portrait(bundle / "rootfs")


@pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar is not there")
def test_the_same_tree_as_gnu_tar_from_an_archive_of_the_standard_library(tmp_path: Path) -> None:
    source = _source(tmp_path)
    archive = tmp_path / "layer.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as writer:
        writer.add(source, ".")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    apply(ours, archive.read_bytes())
    subprocess.run(["tar", "-xpf", str(archive), "-C", str(theirs), "--numeric-owner"], check=True)
    assert portrait(ours) == portrait(theirs)
