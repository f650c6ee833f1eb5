"""`puller load` and `puller import`."""

import asyncio
import json
import lzma
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from testregistry import TestRegistry, images
from tests.archive.building import (
    BASE,
    TOP,
    A,
    B,
    config,
    docker,
    document,
    entries_of,
    folder,
    hex_of,
    packed,
    repositories,
)
from tests.cli.conftest import Puller
from tests.cli.program import ended, environment, started

pytestmark = pytest.mark.slow  # many small tests: for `make test`

OLD = [*folder(B, A, TOP), *folder(A), repositories({"old": {"latest": B}})]


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    """Archives as files."""

    def save(content: bytes, name: str = "images.tar") -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return save


# --- load ------------------------------------------------------------------------------------------------------------


def test_load_tells_every_image_by_name_and_id(puller: Puller, saved: Callable[..., str]) -> None:
    end = puller("load", saved(packed(OLD)))
    assert (end.code, end.out) == (0, f"loaded docker.io/library/old:latest {B}\n")
    assert f"image     {A[:12]}  loaded" in end.err
    end = puller("load", saved(packed(docker([BASE], None))), "--quiet")
    assert (end.code, end.out, end.err) == (0, f"-  sha256:{hex_of(config([BASE]))}\n", "")


def test_load_tells_programs_in_json(puller: Puller, saved: Callable[..., str]) -> None:
    end = puller("load", saved(packed(OLD)), "--json")
    events = [json.loads(line) for line in end.out.splitlines()]
    assert {"event": "registered", "image_id": A, "is_new": True} in events
    assert events[-1] == {
        "event": "loaded", "name": "docker.io/library/old:latest", "image_id": B, "kind": "graph",
    }  # fmt: skip


def test_a_quiet_load_tells_programs_only_what_came_of_it(puller: Puller, saved: Callable[..., str]) -> None:
    end = puller("load", saved(packed(OLD)), "--json", "-q")
    events = [json.loads(line)["event"] for line in end.out.splitlines()]
    assert (end.code, events) == (0, ["registered", "registered", "loaded"])


def test_a_second_load_reads_nothing_again(puller: Puller, saved: Callable[..., str]) -> None:
    name = saved(packed(OLD))
    puller("load", name)
    end = puller("load", name)
    assert f"image     {A[:12]}  here already" in end.err


def test_what_is_loaded_is_known_to_the_other_verbs(puller: Puller, saved: Callable[..., str]) -> None:
    puller("load", saved(packed(OLD)))
    puller("load", saved(packed(docker([BASE, TOP]))))
    listed = puller("images").out
    assert "docker.io/library/app:1" in listed
    assert puller("verify", "app:1").code == 0


def test_load_goes_to_another_graph(puller: Puller, saved: Callable[..., str], tmp_path: Path) -> None:
    end = puller("load", saved(packed(OLD)), "--graph", str(tmp_path / "docker"))
    assert end.code == 0
    assert sorted(path.name for path in (tmp_path / "docker/vfs/dir").iterdir()) == [A, B]
    assert json.loads((tmp_path / "docker/repositories-vfs").read_text())["Repositories"] == {"old": {"latest": B}}


@pytest.mark.parametrize(
    ("content", "code", "word"),
    [
        (b"junk" * 1000, 3, "InvalidArchive"),
        (b"", 3, "InvalidArchive"),
        (packed(folder(A))[:600], 3, "TruncatedArchive"),
        (packed([(f"x/{name.partition('/')[2]}", part) for name, part in folder(A)]), 3, "InvalidArchive"),
        (packed(docker([BASE], ["UPPER:1"])), 3, "InvalidArchive"),
        (packed([*docker([BASE])[:1], (docker([BASE])[1][0], TOP), docker([BASE])[2]]), 3, "DiffIDMismatch"),
    ],
    ids=range(6),
)
def test_a_wrong_archive_ends_with_3(
    puller: Puller, saved: Callable[..., str], content: bytes, code: int, word: str
) -> None:
    name = saved(content)
    end = puller("load", name)
    assert (end.code, end.out) == (code, "")
    assert f"[{word}]" in end.err
    assert f"where      {name}" in end.err


def test_wrong_words_end_with_2(puller: Puller, saved: Callable[..., str], tmp_path: Path) -> None:
    assert puller("load", str(tmp_path / "absent")).code == 2
    assert puller("load", str(tmp_path)).code == 2
    assert puller("load").code == 2
    puller("load", saved(packed(OLD)))
    other = saved(packed([*folder(A), repositories({"old": {"latest": A}})]), "other.tar")
    end = puller("load", other, "--no-retag")
    assert end.code == 2
    assert "in use" in end.err
    end = puller("load", other)
    assert f"The image old:latest already exists, renaming the old one with ID {B[:12]} to empty string" in end.err


async def test_an_archive_may_come_on_stdin(home: Path) -> None:
    for content in (packed(OLD), lzma.compress(packed(OLD))):
        process = await asyncio.create_subprocess_exec(
            *_words("load", "-"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=_surroundings(home)
        )
        out, _ = await process.communicate(content)
        assert (process.returncode, out.decode()) == (0, f"loaded docker.io/library/old:latest {B}\n")


async def test_r7_an_interrupt_while_stdin_says_nothing_ends_it_at_once(home: Path) -> None:
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *_words("load", "-", "--json"),
        stdin=reading,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_surroundings(home),
    )
    try:
        os.close(reading)
        os.write(writing, packed(OLD)[:4000])
        assert process.stdout is not None
        assert b"progress" in await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        end = await ended(process)
        assert end.code == 130
        assert "nothing of it was kept" in end.err
        assert [files for _, _, files in os.walk(home / "store/ingest")] == [[]]
    finally:
        os.close(writing)


async def test_r5_processes_that_load_one_archive_at_once_share_the_work(home: Path, saved: Callable[..., str]) -> None:
    name = saved(packed(OLD))
    env = {"PULLER_STORE": str(home / "store")}
    processes = [await started("load", name, "--json", home=home, env=env) for _ in range(3)]
    ends = [await ended(process) for process in processes]
    assert [end.code for end in ends] == [0, 0, 0]
    events = [json.loads(line) for end in ends for line in end.out.splitlines()]
    made = [event["image_id"] for event in events if event["event"] == "registered" and event["is_new"]]
    assert sorted(made) == [A, B]


def test_what_was_pulled_and_saved_stays_what_it_is_when_it_is_loaded(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    app, old = images.layer({"app": b"app\n"}), images.schema1(images.layer({"old": b"old\n"}))
    registry.add("app:1", images.image(app))
    registry.add("many:1", images.index(images.image(app), images.image(app, platform=("linux", "s390x"))))
    registry.add("old:1", old)
    names = [registry.name(name) for name in ("app:1", "many:1", "old:1")]
    assert puller(*names, "--platform", "linux/amd64").code == 0
    before = puller("images", "--json").out
    blobs = sorted((tmp_path / "home/store/blobs").rglob("*"))
    assert puller("save", *names, "--platform", "linux/amd64", "-o", str(tmp_path / "all.tar")).code == 0
    end = puller("load", str(tmp_path / "all.tar"))
    assert (end.code, "already exists" in end.err) == (0, False)
    assert puller("images", "--json").out == before
    assert sorted((tmp_path / "home/store/blobs").rglob("*")) == blobs
    assert blobs


def test_a9_a_digest_never_finds_what_an_archive_calls_by_it(
    puller: Puller, registry: TestRegistry, saved: Callable[..., str]
) -> None:
    old = images.schema1(images.layer({"old": b"old\n"}))
    archive = [*folder(A), repositories({"claim": {old.digest: A}})]
    assert puller("load", saved(packed(archive))).code == 0
    assert puller("inspect", old.digest).code == 1
    registry.add("old:1", old)
    assert puller(registry.name("old:1")).code == 0
    assert json.loads(puller("inspect", old.digest).out)["image_id"] != A


# --- import ----------------------------------------------------------------------------------------------------------


def test_import_makes_an_image_and_names_it(puller: Puller, saved: Callable[..., str], home: Path) -> None:
    end = puller("import", saved(BASE, "rootfs.tar"), "base:1", "--platform", "linux/arm64")
    assert end.code == 0
    verb, name, image_id = end.out.split()
    assert (verb, name, len(image_id)) == ("imported", "docker.io/library/base:1", 64)
    told = json.loads((home / "store/graph" / image_id / "json").read_text())
    assert (told["comment"], told["architecture"]) == ("Imported from rootfs.tar", "arm64")
    assert "not verified" not in end.err


def test_import_without_a_name(puller: Puller, saved: Callable[..., str]) -> None:
    end = puller("import", saved(BASE), "-m", "hello", "--json")
    event = json.loads(end.out.splitlines()[-1])
    assert (event["event"], event["name"]) == ("imported", None)


def test_import_from_the_web_says_that_nothing_vouches_for_it(
    puller: Puller, registry: TestRegistry, home: Path
) -> None:
    layer = images.layer({"etc/motd": b"hello\n"})
    registry.add("app:1", images.image(layer))
    url = f"http://{registry.name('app').partition('/')[0]}/v2/app/blobs/{layer.digest}"
    end = puller("import", f"{url}?token=secret", "web:1")
    assert end.code == 0
    assert "not verified: no digest was given" in end.err
    told = (home / "store/graph" / end.out.split()[2] / "json").read_text()
    assert f"Imported from {url}" in told
    assert "secret" not in told + end.err
    end = puller("import", url, "web:2", "--digest", layer.digest)
    assert (end.code, "not verified" in end.err) == (0, False)
    wrong = puller("import", url, "web:3", "--digest", f"sha256:{'0' * 64}")
    assert (wrong.code, wrong.out) == (3, "")
    assert puller("import", f"{url[:-64]}{'0' * 64}").code == 1


def test_an_import_says_what_is_wrong_with_which_file(puller: Puller, saved: Callable[..., str]) -> None:
    name = saved(b"junk" * 1000)
    end = puller("import", name)
    assert (end.code, f"where      {name}" in end.err) == (3, True)
    end = puller("import", "ftp://host/x.tar")
    assert (end.code, "only http and https" in end.err) == (2, True)
    end = puller("import", saved(BASE), "base:1", "-q")
    name, image_id = end.out.rstrip("\n").split("  ")
    assert (name, len(image_id), end.err) == ("docker.io/library/base:1", 64, "")


def test_a9_an_import_takes_no_name_with_a_digest(puller: Puller, saved: Callable[..., str]) -> None:
    end = puller("import", saved(BASE), f"base@sha256:{'0' * 64}")
    assert (end.code, end.out, "[InvalidReference]" in end.err) == (2, "", True)


def test_an_archive_without_the_parents_of_its_image_is_told_so(puller: Puller, saved: Callable[..., str]) -> None:
    end = puller("load", saved(packed(folder(B, A, TOP))))
    assert (end.code != 0, "Save the archive with its parents." in end.err) == (True, True)


@pytest.mark.parametrize("words", [["x.tar", "UPPER"], ["x.tar", "--digest", "md5:1"], ["ftp://x/y"], ["x.tar"], []])
def test_import_refuses_wrong_words(puller: Puller, words: list[str]) -> None:
    assert puller("import", *words).code == 2


def _words(*words: str) -> list[str]:
    return [sys.executable, "-m", "puller", *words]


def _surroundings(home: Path) -> dict[str, str]:
    return environment(home, PULLER_STORE=str(home / "store"))


# --- kills -----------------------------------------------------------------------------------------------------------

BOTH = [*OLD, *docker([BASE, TOP], ["new:1"])]
MIXED = [part for part in BOTH if part[0] != "manifest.json"]


@pytest.mark.parametrize("lines", range(1, 8))
async def test_g8_a_load_that_is_killed_leaves_a_store_that_is_right_and_can_be_gone_on_with(
    home: Path, saved: Callable[..., str], lines: int
) -> None:
    entries = [
        {"Config": "old.json", "RepoTags": ["old:latest"], "Layers": [f"{A}/layer.tar", f"{B}/layer.tar"]},
        *entries_of(BOTH),
    ]
    parts = [*MIXED, ("old.json", config([BASE, TOP], id=B)), ("manifest.json", document(entries))]
    name, env = saved(packed(parts)), {"PULLER_STORE": str(home / "store")}
    process = await started("load", name, "--json", home=home, env=env)
    assert process.stdout is not None
    for _ in range(lines):
        await process.stdout.readline()
    with suppress(ProcessLookupError):
        process.kill()
    await process.communicate()
    for words in (["verify", "--all"], ["graph", "check"], ["load", name], ["verify", "--all"], ["gc", "--days", "0"]):
        end = await ended(await started(*words, home=home, env=env))
        assert end.code == 0, (words, end.err)
    store = home / "store"
    assert sorted(path.name for path in (store / "vfs/dir").iterdir()) == [A, B]
    assert json.loads((store / "repositories-vfs").read_text())["Repositories"] == {"old": {"latest": B}}
    assert len(json.loads((store / "index.json").read_text())["manifests"]) == 1
    left = [path for place in ("ingest", "vfs/puller/staging") for path in (store / place).iterdir()]
    assert left == []
    assert {path.name for path in (store / "graph/_tmp").iterdir()} <= {"locks"}
