"""`puller sync` killed, doubled and hurried, into Debian's docker-registry and into a directory: stories to their end.

The source is the registry of the tests, whose journal tells what was asked; what has arrived is looked at without any
of this program: over HTTP, and file by file.
"""

import asyncio
import hashlib
import json
import time
import urllib.error
import urllib.request
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest

from bench.registry import Registry
from bench.registry import serve as serve_debian
from puller.mirror.state import State
from testregistry import TestRegistry, faults, images, serve
from testregistry.journal import Request
from tests.cli.program import Ended, ended, started
from tests.tools import skipping_without_tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Form: TypeAlias = Literal["registry", "oci"]
REF_NAME = "org.opencontainers.image.ref.name"
WIDE = {"enabled": True, "max": "100%", "keep": 0}
BASE = images.layer({"etc/base": b"base\n" * 2000})
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def image(seed: str) -> images.Image:
    """A layer that all have, and one of its own."""
    return images.image(BASE, images.layer({"srv/own": seed.encode() * 3000}))


@dataclass
class Stand:
    """A source, and a place for everything that is mirrored from it."""

    up: TestRegistry
    debian: Registry
    folder: Path
    form: Form

    def target(self, name: str) -> str:
        return f"{self.debian.host}/copy/{name}" if self.form == "registry" else f"oci:{self.folder}/{name}"

    def write(self, name: str, *, file: str = "", **more: Any) -> list[str]:
        """A configuration that mirrors `name`; the words that run it, with a state and a report of its own."""
        file = file or name
        mirror = {"from": f"{self.up.host}/{name}", "to": self.target(name), "prune": WIDE, **more}
        path = self.folder / f"{file}.yml"
        path.write_text(json.dumps({"puller": 1, "jobs": 2, "mirrors": [mirror]}), "utf-8")
        return ["sync", str(path), "--state", str(self.state(file)), "--report", str(self.folder / f"{file}.json")]

    def state(self, file: str) -> Path:
        return self.folder / f"{file}.state"

    async def begun(self, words: list[str]) -> Process:
        return await started(*words, home=self.folder)

    async def ran(self, words: list[str]) -> Ended:
        return await ended(await self.begun(words))

    def report(self, file: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / f"{file}.json").read_text())
        return document

    def actions(self, file: str) -> dict[str, str]:
        return {item["tag"]: "failed" if item["error"] else item["action"] for item in self.report(file)["items"]}

    # What has arrived.

    def _get(self, name: str, path: str, method: str = "GET") -> bytes | None:
        url = f"http://{self.debian.host}/v2/copy/{name}/{path}"
        request = urllib.request.Request(url, method=method, headers={"Accept": f"{MANIFEST}, {INDEX}"})
        while True:
            try:
                with urllib.request.urlopen(request) as answer:
                    found: bytes = answer.read()
                    return found
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return None
                # While it sets a tag, for a client that may be dead by now, it reads the half of its file.
                if error.code != 500:
                    raise
                time.sleep(0.05)  # a process of others; the test's own limit ends it

    def tags(self, name: str) -> dict[str, str]:
        """What each tag names; all that it needs is found to be there, and what it should be."""
        if self.form == "registry":
            listed = json.loads(self._get(name, "tags/list") or b"{}").get("tags") or []
            asked = {tag: self._get(name, f"manifests/{tag}") for tag in listed}
            # It lists a tag that it is just about to set.
            raws = {tag: raw for tag, raw in asked.items() if raw is not None}
        else:
            index = self.folder / name / "index.json"
            entries = json.loads(index.read_text())["manifests"] if index.exists() else []
            digests = {e["annotations"][REF_NAME]: e["digest"] for e in entries if REF_NAME in e["annotations"]}
            raws = {tag: self._blob(name, digest) or b"" for tag, digest in digests.items()}
        found = {}
        for tag, raw in raws.items():
            manifest = json.loads(raw)
            for part in (manifest["config"], *manifest["layers"]):
                content = self._blob(name, part["digest"])
                assert content is not None, (tag, part)
                assert f"sha256:{hashlib.sha256(content).hexdigest()}" == part["digest"], tag
            found[tag] = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        return found

    def _blob(self, name: str, digest: str) -> bytes | None:
        if self.form == "registry":
            return self._get(name, f"blobs/{digest}")
        path = self.folder / name / "blobs" / digest.replace(":", "/")
        return path.read_bytes() if path.exists() else None

    def has(self, name: str, digests: Iterable[str]) -> set[str]:
        """Which of these blobs are there."""
        return {digest for digest in digests if self._blob(name, digest) is not None}


@contextmanager
def debian_registry(folder: Path) -> Iterator[Registry]:
    with skipping_without_tools():
        with serve_debian(folder / "data", folder / "log") as registry:
            yield registry


@asynccontextmanager
async def standing(folder: Path, form: Form) -> AsyncIterator[Stand]:
    with debian_registry(folder / "debian") as debian:
        async with serve() as up:
            yield Stand(up, debian, folder, form)


def stock(up: TestRegistry, name: str, *tags: str, seed: str = "") -> dict[str, str]:
    """Have images under these tags; what each names."""
    return {tag: up.add(f"{name}:{tag}", image(f"{name} {tag} {seed}")) for tag in tags}


async def killed_at(stand: Stand, words: list[str], number: int) -> bool:
    """Run, and kill it as its request of this number arrives at the source; whether it came to that."""
    process = await stand.begun(words)
    seen: list[Request] = []

    def count(request: Request) -> None:
        seen.append(request)
        if len(seen) == number:
            process.kill()

    stand.up.on_request.append(count)
    await ended_somehow(process)
    stand.up.on_request.remove(count)
    return process.returncode == -9


async def ended_somehow(process: Process) -> None:
    async with asyncio.timeout(60):
        await process.communicate()


@pytest.mark.parametrize("form", ["registry", "oci"])
async def test_r13_killed_at_any_request_nothing_is_lost_and_only_what_was_on_its_way_is_fetched_again(
    tmp_path: Path, form: Form
) -> None:
    async with standing(tmp_path, form) as stand:
        for number in (1, 2, 6, 9, 12, 15, 18, 20, 22):
            name = f"app{number}"
            before = stock(stand.up, name, "1", "2", "old")
            words = stand.write(name)
            assert (await stand.ran(words)).code == 0
            stand.up.storage.untag(name, "old")
            wanted = {**before, **stock(stand.up, name, "1", seed="moved"), **stock(stand.up, name, "3", "4", "5", "6")}
            wanted.pop("old")
            was_killed = await killed_at(stand, words, number)
            assert was_killed, number
            there = stand.tags(name)
            assert set(there) >= {"1", "2"}, number
            for tag, digest in there.items():
                assert digest in (wanted.get(tag), before.get(tag)), (number, tag)
            arrived = stand.has(name, set().union(*(parts_of(name, tag) for tag in wanted)))
            stand.up.journal.clear()
            end = await stand.ran(words)
            assert end.code == 0, (number, end.err)
            assert stand.tags(name) == wanted, number
            fetched = {request.digest for request in stand.up.journal.find("GET", kind="blob")}
            assert fetched.isdisjoint(arrived), number
            report = stand.report(name)
            assert (report["warnings"], report["problems"], report["well"]) == ([], [], True), number
            with State.read(stand.state(name)) as state:
                assert state.warnings == ()
                assert [run.ended is None for run in state.runs(3)] == [False, True, False]


def parts_of(name: str, tag: str) -> set[str]:
    """The digests of the blobs that an image of `stock` is made of, moved or not."""
    found = [image(f"{name} {tag} {seed}") for seed in ("", "moved")]
    return {one.config.digest for one in found} | {layer.digest for one in found for layer in one.layers}


@pytest.mark.parametrize("form", ["registry", "oci"])
async def test_r5_r13_of_two_syncs_with_one_state_the_second_is_skipped_and_says_so(tmp_path: Path, form: Form) -> None:
    async with standing(tmp_path, form) as stand:
        wanted = stock(stand.up, "app", "1", "2")
        words = stand.write("app")
        stand.up.faults.append(faults.stall(image("app 2 ").layers[1].digest, after=100, seconds=4))
        arrived = asyncio.Event()
        stand.up.on_request.append(lambda request: arrived.set() if request.kind == "blob" else None)
        first = await stand.begun(words)
        await arrived.wait()
        second = await stand.ran(words)
        assert second.code == 1
        assert "another run holds this state" in second.err
        assert f"process {first.pid}" in second.err
        end = await ended(first)
        assert end.code == 0, end.err
        assert stand.tags("app") == wanted
        assert stand.report("app")["well"]  # which is the first one's
        assert stand.up.journal.gets(BASE.digest) == 1


@pytest.mark.parametrize("form", ["registry", "oci"])
async def test_r5_r13_two_syncs_with_states_of_their_own_at_one_target_are_both_right(
    tmp_path: Path, form: Form
) -> None:
    async with standing(tmp_path, form) as stand:
        wanted = stock(stand.up, "app", *(f"{letter}{number}" for letter in "ab" for number in range(5)))
        runs = [stand.write("app", file=letter, tags={"allow": [f"{letter}.*"]}) for letter in "ab"]
        ends = await asyncio.gather(*map(stand.ran, runs))
        assert [end.code for end in ends] == [0, 0], [end.err for end in ends]
        assert stand.tags("app") == wanted
        for tag in ("a0", "b0", "b1"):
            stand.up.storage.untag("app", tag)
            wanted.pop(tag)
        wanted |= stock(stand.up, "app", "a5", "b5") | stock(stand.up, "app", "a1", "b2", seed="moved")
        ends = await asyncio.gather(*map(stand.ran, runs))
        assert [end.code for end in ends] == [0, 0], [end.err for end in ends]
        assert stand.tags("app") == wanted
        assert {tag for tag, action in stand.actions("a").items() if action == "pruned"} == {"a0"}
        assert {tag for tag, action in stand.actions("b").items() if action == "pruned"} == {"b0", "b1"}


@pytest.mark.parametrize("form", ["registry", "oci"])
async def test_r5_r13_two_syncs_of_the_same_prune_the_same_once_and_neither_fails(tmp_path: Path, form: Form) -> None:
    async with standing(tmp_path, form) as stand:
        wanted = stock(stand.up, "app", *map(str, range(8)))
        runs = [stand.write("app", file=name) for name in ("one", "two")]
        for words in runs:
            assert (await stand.ran(words)).code == 0
        for tag in "0123":
            stand.up.storage.untag("app", tag)
            wanted.pop(tag)
        ends = await asyncio.gather(*map(stand.ran, runs))
        assert [end.code for end in ends] == [0, 0], [end.err for end in ends]
        assert stand.tags("app") == wanted
