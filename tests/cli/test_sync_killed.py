"""`puller sync` killed while it prunes: what should stay stays, what has gone can be brought back, the next ends it.

`make torture` kills it at every point; elsewhere some of them.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from puller.mirror.state import State
from testregistry import Manner, TestRegistry, serve
from testregistry.journal import Request
from tests.cli.mirrored import image
from tests.cli.program import environment, ran, started
from tests.conftest import ROOT
from tests.tracing import missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WIDE = {"enabled": True, "max": "100%", "keep": 0}
STAYING = {"1": image("1").digest, "2": image("2").digest, "theirs": image("theirs").digest}
GOING = {"old": image("old").digest, "twin": image("1").digest}  # the second is the image of a tag that stays
MANNERS = {"by-tag": Manner(), "by-digest": Manner(digests_only=True)}
CALLS = ("openat", "write", "fsync", "rename")  # with which a directory and the tombstones are changed


def words_of(folder: Path, up: TestRegistry, target: str) -> list[str]:
    """The words that mirror `app`, with a configuration for that."""
    folder.mkdir(exist_ok=True)
    file = folder / "mirrors.yml"
    mirror: dict[str, Any] = {"from": f"{up.host}/app", "to": target, "prune": WIDE}
    file.write_text(json.dumps({"puller": 1, "mirrors": [mirror]}), "utf-8")
    return ["sync", str(file), "--state", str(folder / "state"), "--report", str(folder / "report.json")]


def stock(up: TestRegistry) -> None:
    for tag in ("1", "2", "old"):
        up.add(f"app:{tag}", image(tag))
    up.tag("app:twin", image("1").digest)
    up.add("other:theirs", image("theirs"))


def buried(folder: Path) -> set[str]:
    """The tags that undo could bring back."""
    with State.read(folder / "state") as state:
        return {grave.name for run in state.undoable() for grave in state.tombstones(run.run)}


def assert_nothing_is_lost(there: Mapping[str, str], folder: Path) -> None:
    assert {tag: there.get(tag) for tag in STAYING} == STAYING
    assert {tag for tag, digest in GOING.items() if there.get(tag) != digest} <= buried(folder)


async def at_a_registry(folder: Path, manner: Manner, number: int) -> bool:
    """Killed as this request to the target was answered; whether it came to that."""
    async with serve() as up, serve(manner=manner) as down:
        words = words_of(folder, up, f"{down.host}/copy/app")
        stock(up)
        assert (await ran(*words, home=folder)).code == 0
        down.add("copy/app:theirs", image("theirs"))
        for tag in GOING:
            up.storage.untag("app", tag)
        process = await started(*words, home=folder)
        seen: list[Request] = []

        def count(request: Request) -> None:
            seen.append(request)
            if len(seen) == number:
                process.kill()

        down.on_answer.append(count)
        await process.communicate()
        down.on_answer.clear()
        found = down.storage.find("copy/app")
        assert found is not None
        assert_nothing_is_lost(dict(found.tags), folder)
        end = await ran(*words, home=folder)
        assert end.code == 0, end.err
        assert dict(found.tags) == STAYING
        assert buried(folder) == GOING.keys()
        return process.returncode == -9


async def in_a_directory(folder: Path, call: str, number: int) -> bool:
    """Killed at this system call on what it changes, counted for each thread; whether it came to that."""
    async with serve() as up:
        target = f"oci:{folder}/app"
        words = words_of(folder, up, target)
        stock(up)
        assert (await ran(*words, home=folder)).code == 0
        assert (await ran("copy", f"{up.host}/other:theirs", f"{target}:theirs", home=folder)).code == 0
        for tag in GOING:
            up.storage.untag("app", tag)
        was_killed = await asyncio.to_thread(hindered, folder, words, call, number)
        assert_nothing_is_lost(listed(folder / "app"), folder)
        end = await ran(*words, home=folder)
        assert end.code == 0, end.err
        assert listed(folder / "app") == STAYING
        assert buried(folder) == GOING.keys()
        return was_killed


def hindered(folder: Path, words: list[str], call: str, number: int) -> bool:
    target, log = folder / "app", folder / "strace"
    watched = [target / "index.json", target / ".puller/ingest/index.json.new", folder / "state/tombstones.jsonl"]
    paths = [word for path in watched for word in ("-P", str(path))]
    options = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
    command = ["strace", "-f", "-y", "-o", str(log), *options, *paths, sys.executable, "-m", "puller", *words]
    subprocess.run(command, cwd=ROOT, env=environment(folder), capture_output=True, timeout=60, check=False)
    return "killed by SIGKILL" in log.read_text()


def listed(folder: Path) -> dict[str, str]:
    """The names of a layout."""
    entries = json.loads((folder / "index.json").read_text())["manifests"]
    return {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in entries}


@pytest.mark.parametrize("number", [3, 6, 9])
@pytest.mark.parametrize("manner", MANNERS)
async def test_r13_killed_at_a_request_of_pruning_it_is_finished_by_the_next_run(
    tmp_path: Path, manner: str, number: int
) -> None:
    assert await at_a_registry(tmp_path, MANNERS[manner], number)


@pytest.mark.parametrize(("call", "number"), [("rename", 1), ("openat", 2), ("fsync", 1), ("write", 1)])
async def test_r13_killed_at_a_change_of_a_directory_pruning_is_finished_by_the_next_run(
    tmp_path: Path, call: str, number: int
) -> None:
    if reason := missing():
        pytest.skip(reason)
    assert await in_a_directory(tmp_path, call, number)


@pytest.mark.torture
@pytest.mark.parametrize("manner", MANNERS)
async def test_r13_killed_at_every_request_of_pruning(tmp_path: Path, manner: str) -> None:
    number = 1
    while await at_a_registry(tmp_path / str(number), MANNERS[manner], number):
        number += 1
    assert number > 6


@pytest.mark.torture
@pytest.mark.parametrize("call", CALLS)
async def test_r13_killed_at_every_change_of_a_directory(tmp_path: Path, call: str) -> None:
    if reason := missing():
        pytest.skip(reason)
    number = 1
    while await in_a_directory(tmp_path / str(number), call, number):
        number += 1
    assert number > 1, "the call was never made: the list of calls is out of date"
