"""`puller sync` that is stopped, killed, or not alone: nothing is lost, and the next run goes on."""

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from puller.mirror.runlock import only_run
from testregistry import TestRegistry, faults, serve
from testregistry.fault import Fault
from tests.cli.mirrored import SHARED, image
from tests.cli.program import Ended, ended, started

pytestmark = pytest.mark.slow  # processes


@dataclass
class Scene:
    """Eight images at one registry, on their way to another or to a directory by a process of its own."""

    up: TestRegistry
    down: TestRegistry
    folder: Path

    def write(self, form: str) -> str:
        target = f"oci:{self.folder}/app" if form == "oci" else f"{self.down.host}/copy/app"
        file = self.folder / "mirrors.yml"
        document = {"puller": 1, "jobs": 2, "mirrors": [{"from": f"{self.up.host}/app", "to": target}]}
        file.write_text(json.dumps(document), "utf-8")
        return str(file)

    async def begun(self, file: str) -> Process:
        report, state = str(self.folder / "report.json"), str(self.folder / "state")
        return await started("sync", file, "--report", report, "--state", state, home=self.folder)

    async def ran(self, file: str) -> Ended:
        return await ended(await self.begun(file))

    def arrived(self, form: str) -> set[str]:
        """Tags at the target."""
        if form == "oci":
            path = self.folder / "app" / "index.json"
            entries = json.loads(path.read_text())["manifests"] if path.exists() else []
            return {entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries}
        found = self.down.storage.find("copy/app")
        return set() if found is None else set(found.tags)

    def report(self) -> dict[str, object]:
        document: dict[str, object] = json.loads((self.folder / "report.json").read_text())
        return document


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    async with serve() as up, serve() as down:
        for number in range(8):
            up.add(f"app:{number}", image(f"number {number}"))
        yield Scene(up, down, folder)


def hanging(number: int) -> Fault:
    """The own layer of one image never comes."""
    return faults.stall(image(f"number {number}").layers[1].digest, after=100, times=None)


async def until(scene: Scene, form: str, count: int, process: Process) -> None:
    """Wait for so many tags at the target."""
    while len(scene.arrived(form)) < count:
        assert process.returncode is None
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("form", ["registry", "oci"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_run_that_is_stopped_ends_cleanly_and_says_what_was_done(
    tmp_path: Path, form: str, how: signal.Signals
) -> None:
    async with scene(tmp_path) as made:
        made.up.faults.append(hanging(7))
        file = made.write(form)
        process = await made.begun(file)
        await until(made, form, 7, process)
        process.send_signal(how)
        end = await ended(process)
        assert end.code == 130
        assert end.err.splitlines()[-1] == "interrupted; what has arrived stays, and is not brought again"
        report = made.report()
        assert (report["well"], report["counts"]) == (False, {"new": 7})
        error = report["error"]
        assert isinstance(error, dict)
        assert error["what"] == "the run was interrupted"
        made.up.faults.clear()
        made.up.journal.clear()
        assert (await made.ran(file)).code == 0
        assert made.arrived(form) == set("01234567")
        assert made.up.journal.gets(SHARED.digest) == 0


@pytest.mark.parametrize("form", ["registry", "oci"])
async def test_r13_a_run_that_is_killed_costs_what_was_on_its_way_and_nothing_else(tmp_path: Path, form: str) -> None:
    async with scene(tmp_path) as made:
        made.up.faults.append(hanging(7))
        file = made.write(form)
        process = await made.begun(file)
        await until(made, form, 7, process)
        process.kill()
        await process.wait()
        made.up.faults.clear()
        made.up.journal.clear()
        end = await made.ran(file)
        assert end.code == 0, end.err
        assert made.arrived(form) == set("01234567")
        assert "8 tags, 1 copied, 7 unchanged" in end.err
        fetched = {request.digest for request in made.up.journal.find("GET", kind="blob")}
        assert fetched <= {image("number 7").layers[1].digest, image("number 7").config.digest}


async def test_r5_a_second_run_of_the_same_state_does_not_begin(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        file = made.write("oci")
        with only_run(tmp_path / "state"):
            end = await made.ran(file)
        assert end.code == 1
        assert "another run holds this state" in end.err
        assert len(made.up.journal) == 0


async def test_two_runs_with_states_of_their_own_lose_no_tag(tmp_path: Path) -> None:
    async with scene(tmp_path) as made:
        file = made.write("oci")
        runs = [await started("sync", file, "--state", str(tmp_path / f"s{n}"), home=tmp_path) for n in range(3)]
        ends = await asyncio.gather(*map(ended, runs))
        assert [end.code for end in ends] == [0, 0, 0], [end.err for end in ends]
        assert made.arrived("oci") == set("01234567")
        assert made.up.journal.gets(SHARED.digest) == 1
