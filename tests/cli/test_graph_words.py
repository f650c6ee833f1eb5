"""What the verbs of the old world say: of what is wrong, of what they did, and where."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from puller.graph.tags import DiskTagStore
from testregistry import TestRegistry
from tests.cli.conftest import Puller
from tests.cli.picture import IMAGE
from tests.cli.program import Ended, environment
from tests.graph.images import graph_at, named, stack

pytestmark = pytest.mark.slow  # many small tests: for `make test`


@pytest.fixture
def root(puller: Puller, home: Path) -> Path:
    """A store whose graph has `app:1`, an image upon another."""
    assert puller("images").code == 0
    images = graph_at(home / "store")
    stack(images, ["base", "top"])
    DiskTagStore(home / "store/repositories-vfs", images, durable=False).tag("app", "1", named("top"))
    return home / "store"


def test_save_of_a_bad_layer_names_its_image_and_who_tells_more(puller: Puller, root: Path, tmp_path: Path) -> None:
    (root / "vfs/dir" / named("base") / "base").write_text("changed")
    end = puller("save", "app:1", "-o", str(tmp_path / "a.tar"))
    assert end.code == 3
    assert named("base") in end.err
    assert "`puller graph check --disk` tells more." in end.err


def test_an_archive_for_a_full_disk_is_a_typed_error(root: Path, home: Path) -> None:
    command = [sys.executable, "-m", "puller", "save", "app:1", "-o", "-"]
    surroundings = environment(home, PULLER_STORE=str(root))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, env=surroundings, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    assert done.returncode == 1
    assert "[NoSpace]\n  where      stdout\n" in done.stderr


def test_an_archive_that_finds_no_space_says_where(root: Path, home: Path, tmp_path: Path) -> None:
    limited = "ulimit -f 4; trap '' XFSZ; exec " + f"{sys.executable} -m puller save app:1 -o {tmp_path}/a.tar"
    surroundings = environment(home, PULLER_STORE=str(root))
    done = subprocess.run(["/bin/sh", "-c", limited], env=surroundings, capture_output=True, check=False, text=True)
    assert done.returncode == 1
    assert f"[NoSpace]\n  where      {tmp_path}/a.tar\n" in done.stderr


def test_what_goes_to_stdout_is_said_to(root: Path, home: Path) -> None:
    command = [sys.executable, "-m", "puller", "save", "app:1", "-o", "-"]
    done = subprocess.run(command, env=environment(home, PULLER_STORE=str(root)), capture_output=True, check=True)
    assert done.stderr.startswith(b"saved 1 image to stdout  ")


@pytest.mark.parametrize(
    "words",
    ["graph ls", "graph tree", "graph check", "images", "inspect app:1", "history app:1", "verify app:1", "rm app:1"],
)
def test_a_graph_that_is_not_there_is_a_wrong_word_that_is_named(puller: Puller, tmp_path: Path, words: str) -> None:
    end = puller(*words.split(), "--graph", str(tmp_path / "typo"))
    assert end.code == 2
    assert str(tmp_path / "typo") in end.err
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize(("words", "said"), [((), "say which images"), (("--all", "app:1"), "leave out the names")])
def test_verify_says_which_words_it_wants(puller: Puller, words: tuple[str, ...], said: str) -> None:
    end = puller("verify", *words)
    assert end.code == 2
    assert said in end.err


def test_rm_says_why_an_image_stays(puller: Puller, root: Path) -> None:
    tags = DiskTagStore(root / "repositories-vfs", graph_at(root), durable=False)
    tags.tag("base", "1", named("base"))
    end = puller("rm", "base:1")
    assert end.code == 0
    assert "the image stays: it has children" in end.out


@pytest.mark.parametrize(
    "words",
    ["save x:1 -o a.tar", "push x:1", "history x:1", "verify x:1", "inspect x:1", "inspect abcdef", "push abcdef"],
)
def test_an_unknown_image_is_told_in_the_same_words(
    puller: Puller, root: Path, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    end = puller(*words.split())
    assert end.err.splitlines()[0] == "puller: there is no image of this name or ID  [ContentMissing]"


def test_convert_prints_results_on_stdout_and_remarks_on_stderr(puller: Puller, root: Path) -> None:
    end = puller("convert", "app:1", "--to", "oci")
    assert "has lost this name" in end.err
    assert "has lost this name" not in end.out


def test_ids_are_written_alike_whatever_the_verb(
    puller: Puller, registry: TestRegistry, root: Path, tmp_path: Path
) -> None:
    registry.add("new:1", IMAGE)
    new = registry.name("new:1")
    assert puller(new).code == 0
    assert puller("save", new, "app:1", "-o", str(tmp_path / "a.tar")).code == 0
    loaded = puller("load", str(tmp_path / "a.tar"), "--json", "--store", str(tmp_path / "other")).out.splitlines()
    for name, image_id in ((new, IMAGE.config.digest), ("docker.io/library/app:1", named("top"))):
        told = [json.loads(line) for line in puller("images", "--json").out.splitlines() + loaded]
        told += [{"name": name} | json.loads(puller("history", "--json", name).out.splitlines()[0])]
        told += [{"name": name} | _image_of(json.loads(puller("inspect", name).out))]
        assert [one["image_id"] for one in told if one.get("name") == name] == [image_id] * 4
    whole = puller("images", "--no-trunc").out
    assert IMAGE.config.digest in whole
    assert IMAGE.digest in whole
    assert named("top") in whole


def test_inspect_says_where_a_tree_is_from_the_root_on(
    puller: Puller, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    told = json.loads(puller("inspect", "app:1", "--store", "store").out)
    assert told["unpacked"]["path"] == str(root / "vfs/dir" / named("top"))


def test_save_and_convert_speak_to_programs_and_not_at_all(puller: Puller, root: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "a.tar")
    end = puller("save", "app:1", "-o", file, "--json")
    assert json.loads(end.out) == {"event": "saved", "output": file, "images": 1, "size": Path(file).stat().st_size}
    assert puller("save", "app:1", "-o", file, "-q") == Ended(0, "", "")
    told = json.loads(puller("convert", "app:1", "--to", "oci", "new:1", "--json").out)
    assert (told["name"], told["old_id"], told["moved"]) == ("docker.io/library/new:1", named("top"), False)
    assert [layer["image_id"] for layer in told["layers"]] == [named("base"), named("top")]
    quiet = puller("convert", "app:1", "--to", "oci", "new:1", "-q")
    assert quiet == Ended(0, f"docker.io/library/new:1  {told['image_id']}\n", "")
    for words in (("save", "app:1", "-o", file), ("convert", "app:1", "--to", "oci")):
        assert puller(*words, "--json", "-q").code == 2


def _image_of(told: dict[str, Any]) -> dict[str, Any]:
    image: dict[str, Any] = told if "image_id" in told else told["images"][0]
    return image
