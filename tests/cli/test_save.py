"""`puller save`, `convert` and `history`: words in, archives and lines out."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from puller.cli.output import archive_output
from puller.errors import InvalidManifest
from testregistry import TestRegistry, images
from tests.cli.conftest import Puller
from tests.cli.picture import IMAGE, PLATFORM
from tests.cli.program import environment
from tests.graph.images import named, plant
from tests.ops.old_world import OLD

pytestmark = pytest.mark.slow  # many small tests: for `make test`


@pytest.fixture
def stocked(puller: Puller, registry: TestRegistry) -> tuple[str, str]:
    """The names of a content image and of a graph image, both in the store."""
    registry.add("app:1", IMAGE)
    registry.add("old:1", OLD)
    names = registry.name("app:1"), registry.name("old:1")
    for name in names:
        assert puller(name).code == 0
    return names


@contextmanager
def umask(mode: int) -> Iterator[None]:
    before = os.umask(mode)
    try:
        yield
    finally:
        os.umask(before)


def tars(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_what_is_saved_is_loaded_and_saved_again_the_same(
    puller: Puller, stocked: tuple[str, str], tmp_path: Path
) -> None:
    first, second, other = tmp_path / "first.tar", tmp_path / "second.tar", str(tmp_path / "other")
    end = puller("save", *stocked, "-o", str(first))
    assert (end.code, end.out) == (0, "")
    assert end.err.startswith(f"saved 2 images to {first}  ")
    assert puller("load", str(first), "--store", other).code == 0
    assert puller("save", *stocked, "-o", str(second), "--store", other).code == 0
    assert first.read_bytes() == second.read_bytes()
    assert tars(tmp_path) == ["first.tar", "second.tar"]


def test_r14_no_umask_shows_in_an_archive(puller: Puller, stocked: tuple[str, str], tmp_path: Path) -> None:
    for mode in (0o000, 0o077):
        with umask(mode):
            assert puller("save", *stocked, "-o", str(tmp_path / f"{mode}.tar")).code == 0
    assert (tmp_path / "0.tar").read_bytes() == (tmp_path / "63.tar").read_bytes()


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_stdout_gets_the_same_archive_as_a_file(
    puller: Puller, home: Path, stocked: tuple[str, str], tmp_path: Path, form: str
) -> None:
    assert puller("save", *stocked, "--format", form, "-o", str(tmp_path / "a.tar")).code == 0
    command = [sys.executable, "-m", "puller", "save", *stocked, "--format", form, "-o", "-"]
    done = subprocess.run(
        command, env=environment(home, PULLER_STORE=str(home / "store")), capture_output=True, check=True
    )
    assert done.stdout == (tmp_path / "a.tar").read_bytes()


def test_an_archive_is_not_thrown_at_a_terminal(home: Path) -> None:
    master, terminal = os.openpty()
    try:
        command = [sys.executable, "-m", "puller", "save", "app:1", "-o", "-"]
        done = subprocess.run(
            command, env=environment(home), stdout=terminal, stderr=subprocess.PIPE, check=False, text=True
        )
    finally:
        os.close(terminal)
        os.close(master)
    assert done.returncode == 2
    assert "nothing for a terminal" in done.stderr


def test_a_reader_that_goes_away_ends_it_without_a_word(home: Path, stocked: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "puller", "save", *stocked, "-o", "-"]
    surroundings = environment(home, PULLER_STORE=str(home / "store"))
    with subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_what_cannot_be_saved_leaves_no_file_and_what_was_there_as_it_was(puller: Puller, tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    end = puller("save", "nothing:1", "-o", str(file))
    assert end.code == 1
    assert "there is no image of this name or ID" in end.err
    assert tars(tmp_path) == []
    file.write_bytes(b"precious")
    assert puller("save", "nothing:1", "-o", str(file)).code == 1
    assert file.read_bytes() == b"precious"
    assert tars(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, InvalidManifest])
def test_whatever_ends_the_writing_leaves_no_file(error: type[BaseException], tmp_path: Path) -> None:
    def write() -> None:
        with archive_output(str(tmp_path / "a.tar"), verb="save") as file:
            file.write(b"half")
            raise error("no more")

    with pytest.raises(error, match="no more"):
        write()
    assert tars(tmp_path) == []


def test_a_damaged_blob_ends_with_code_3(puller: Puller, home: Path, stocked: tuple[str, str], tmp_path: Path) -> None:
    path = home / "store/blobs/sha256" / IMAGE.layers[0].digest.removeprefix("sha256:")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[::-1])
    end = puller("save", stocked[0], "-o", str(tmp_path / "a.tar"))
    assert end.code == 3
    assert "ContentCorrupt" in end.err
    assert tars(tmp_path) == []


def test_the_platform_of_an_index_is_the_host_s_or_the_one_given(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    other = images.image(*IMAGE.layers, platform=("linux", "s390x"))
    registry.add("app:1", images.index(IMAGE, other))
    name = registry.name("app:1")
    assert puller(name, "--all-platforms").code == 0
    for words, image in (((), IMAGE), (("--platform", "linux/s390x"), other)):
        assert puller("save", name, *words, "-o", str(tmp_path / "a.tar")).code == 0
        with tarfile.open(tmp_path / "a.tar") as archive:
            assert f"{image.config.digest.removeprefix('sha256:')}.json" in archive.getnames()


def test_images_of_a_directory_that_docker_left_are_saved_under_their_ids(puller: Puller, tmp_path: Path) -> None:
    root = tmp_path / "docker"
    plant(root, "base")
    plant(root, "top", "base")
    assert puller("save", named("top")[:12], "--graph", str(root), "-o", str(tmp_path / "a.tar")).code == 0
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "a.tar").read_bytes())) as archive:
        folders = [one.name for one in archive if one.isdir()]
    assert folders == sorted([named("base"), named("top")])


def test_convert_prints_the_old_ids_and_the_new_ones(puller: Puller, stocked: tuple[str, str]) -> None:
    ids = [json.loads(line)["image_id"] for line in puller("history", "--json", stocked[1]).out.splitlines()]
    end = puller("convert", stocked[1], "--to", "oci", "new:1")
    assert end.code == 0
    head, *lines, last = end.out.splitlines()
    assert head.split()[:3] == ["image", ids[0], "→"]
    assert [line.split()[1] for line in lines] == ids[::-1]
    assert [line.split()[3] for line in lines] == [layer.digest for layer in OLD.layers]
    assert last.startswith("docker.io/library/new:1 is sha256:")
    new = puller("history", "--json", "new:1").out.splitlines()
    assert json.loads(new[0])["image_id"] == head.split()[3]
    moved = puller("convert", stocked[1], "--to", "docker")
    assert moved.err.splitlines()[-1] == "The old image has lost this name, and is still here by its ID."


def test_convert_wants_to_know_into_what(puller: Puller) -> None:
    assert puller("convert", "app:1").code == 2
    assert puller("convert", "app:1", "--to", "v3").code == 2


def test_history_is_a_table_for_people_and_whole_where_that_is_asked_for(
    puller: Puller, registry: TestRegistry
) -> None:
    past = [{"created": "2020-01-01T10:20:30Z", "created_by": "x" * 60, "comment": "a\x1b[31mb"} for _ in IMAGE.layers]
    registry.add("app:1", images.image(*IMAGE.layers, config_extra={"history": past}, platform=PLATFORM))
    name = registry.name("app:1")
    puller(name)
    lines = puller("history", name).out.splitlines()
    assert lines[0].split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert "x" * 44 + "…" in lines[1]
    assert "2020-01-01 10:20:30" in lines[1]
    assert lines[2].startswith("<missing> ")
    assert "\x1b" not in puller("history", name, "--no-trunc").out
    whole = puller("history", name, "--no-trunc").out.splitlines()
    assert whole[1].startswith("sha256:")
    assert "x" * 60 in whole[1]
    assert "2020-01-01T10:20:30Z" in whole[1]
