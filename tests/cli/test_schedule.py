"""`puller sync --schedule` as a process: what is due at once, its pages, its signals, its end."""

import asyncio
import json
import re
import signal
import time
import urllib.request
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

import pytest
import yaml

from puller.mirror.runlock import only_run
from testregistry import TestRegistry, faults
from tests.cli.conftest import Puller
from tests.cli.mirrored import image
from tests.cli.program import Ended, ended, ran, started
from tests.cli.serving import serving

SOON = 20.0  # seconds within which anything of this happens, on a busy machine
real = pytest.mark.slow  # processes of their own


@dataclass
class Scene:
    """Two registries and a configuration."""

    up: TestRegistry
    down: TestRegistry
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "mirrors.yaml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def write(self, *names: str, schedule: str | None = "every 1m", jobs: int = 3) -> None:
        mirrors = [{"from": f"{self.up.host}/{name}", "to": f"{self.down.host}/{name}"} for name in names]
        for mirror in mirrors:
            if schedule is not None:
                mirror["schedule"] = schedule
        self.file.write_text(yaml.safe_dump({"puller": 1, "jobs": jobs, "mirrors": mirrors}), "utf-8")

    def key(self, name: str) -> str:
        return f"{self.up.host}/{name} > {self.down.host}/{name}"

    def has(self, name: str) -> bool:
        return self.down.storage.manifest(name, "1") is not None


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """`app:1` and `web:1` at the source, nothing at the target."""
    with serving() as up, serving() as down:
        for name in ("app", "web"):
            up.add(f"{name}:1", image(name))
        made = Scene(up, down, tmp_path)
        made.write("app", "web")
        yield made


def own_layer(name: str) -> str:
    """The digest of the layer that no other image has."""
    return image(name).layers[-1].digest


class Daemon:
    """The process, and what it serves."""

    def __init__(self, process: Process, url: str, said: list[str]) -> None:
        self.process = process
        self.url = url
        self.said = said

    async def page(self, path: str) -> tuple[int, str]:
        def get() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                    return answer.status, answer.read().decode()
            except HTTPError as error:
                return error.code, error.read().decode()

        return await asyncio.to_thread(get)

    async def numbers(self) -> dict[str, float]:
        _, text = await self.page("/metrics")
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    async def until(self, name: str, value: float) -> dict[str, float]:
        """Wait until a number is there."""
        async with asyncio.timeout(SOON):
            while True:
                found = await self.numbers()
                if found.get(name) == value:
                    return found
                await asyncio.sleep(0.05)

    async def end(self, *signals: signal.Signals) -> tuple[Ended, float]:
        """How it ends after these, and how long that takes."""
        began = time.monotonic()
        for one in signals:
            self.process.send_signal(one)
            await asyncio.sleep(0.1)
        return await ended(self.process), time.monotonic() - began


@asynccontextmanager
async def daemon(scene: Scene, *words: str) -> AsyncIterator[Daemon]:
    """A daemon that serves its pages; killed at the end if it is still there."""
    command = ("sync", "--schedule", str(scene.file), "--state", str(scene.state), "--listen", "127.0.0.1:0", *words)
    process = await started(*command, home=scene.folder)
    assert process.stderr is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(SOON):
            while not (
                found := re.search(r"listening on (http://\S+):", line := (await process.stderr.readline()).decode())
            ):
                said.append(line)
                assert line, said
        yield Daemon(process, found[1], said)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@real
async def test_what_is_due_runs_at_once_is_counted_and_sigterm_ends_it(scene: Scene) -> None:
    async with daemon(scene, "--report-dir", str(scene.folder / "reports")) as running:
        found = await running.until("puller_sync_run_duration_seconds_count", 1)
        for name in ("app", "web"):
            assert scene.has(name)
            assert found[f'puller_sync_runs_total{{mirror="{scene.key(name)}",result="well"}}'] == 1
            assert found[f'puller_sync_tags_total{{mirror="{scene.key(name)}",action="new"}}'] == 1
            assert found[f'puller_sync_bytes_total{{mirror="{scene.key(name)}",way="sent"}}'] > 0
            due = found[f'puller_sync_next_run_time_seconds{{mirror="{scene.key(name)}"}}']
            assert 0 < due - time.time() <= 60
        assert found["puller_sync_images_under_way"] == 0
        status, text = await running.page("/healthz")
        assert (status, json.loads(text)["wrong"]) == (200, [])
        end, seconds = await running.end(signal.SIGTERM)
        assert end.code == 0, end.err
        assert seconds < SOON / 2
    (report,) = (scene.folder / "reports").iterdir()
    assert json.loads(report.read_text())["counts"] == {"new": 2}
    status_of = await ran("status", str(scene.file), "--state", str(scene.state), home=scene.folder)
    assert status_of.code == 0, status_of.out


@real
async def test_r13_a_restart_knows_what_ran(scene: Scene) -> None:
    once = await ran("sync", str(scene.file), "--state", str(scene.state), home=scene.folder)
    assert once.code == 0, once.err
    async with daemon(scene) as running:
        await asyncio.sleep(0.3)
        found = await running.numbers()
        assert found["puller_sync_run_duration_seconds_count"] == found["puller_sync_running"] == 0
        assert found[f'puller_sync_last_run_well{{mirror="{scene.key("app")}"}}'] == 1


@real
async def test_sigterm_in_mid_transfer_ends_it_within_its_grace_and_the_next_start_makes_up_for_it(
    scene: Scene,
) -> None:
    scene.up.faults.append(faults.stall(own_layer("web"), after=10))
    async with daemon(scene, "--grace", "0.5s") as running:
        await running.until("puller_sync_run_tags_settled", 1)
        await running.until("puller_sync_images_under_way", 1)
        end, seconds = await running.end(signal.SIGTERM)
        assert (end.code, "Traceback" in end.err) == (0, False), end.err
        assert 0.5 < seconds < SOON / 2
    assert (scene.has("app"), scene.has("web")) == (True, False)
    scene.up.faults.clear()
    async with daemon(scene) as running:
        await running.until("puller_sync_run_duration_seconds_count", 1)
    assert scene.has("web")


@real
async def test_sigterm_lets_what_is_on_its_way_arrive_and_begins_nothing_else(scene: Scene) -> None:
    scene.write("app", "web", jobs=1)
    size = len(image("app").layers[-1].raw)
    for name in ("app", "web"):
        scene.up.faults.append(faults.drip(own_layer(name), rate=size / 2))
    async with daemon(scene, "--grace", "1m") as running:
        await running.until("puller_sync_images_under_way", 1)
        end, seconds = await running.end(signal.SIGTERM)
        assert end.code == 0, end.err
        assert seconds < SOON
    assert [scene.has("app"), scene.has("web")].count(True) == 1


@real
@pytest.mark.parametrize(
    ("signals", "code"), [((signal.SIGTERM, signal.SIGTERM), 0), ((signal.SIGINT, signal.SIGINT), 130)]
)
async def test_a_second_signal_ends_it_at_once(scene: Scene, signals: tuple[signal.Signals, ...], code: int) -> None:
    scene.up.faults.append(faults.stall(own_layer("web"), after=10))
    async with daemon(scene, "--grace", "1h") as running:
        await running.until("puller_sync_images_under_way", 1)
        end, seconds = await running.end(*signals)
        assert (end.code, "Traceback" in end.err) == (code, False), end.err
        assert seconds < SOON / 2


@real
async def test_sighup_reads_the_configuration_again_and_keeps_the_old_one_if_it_is_wrong(scene: Scene) -> None:
    scene.write("app", schedule="every 6h")
    async with daemon(scene) as running:
        await running.until("puller_sync_run_duration_seconds_count", 1)
        scene.file.write_text("puller: 1\nmirrors: 7\n")
        running.process.send_signal(signal.SIGHUP)
        await running.until("puller_sync_config_refused_total", 1)
        scene.write("app", "web", schedule="every 6h")
        running.process.send_signal(signal.SIGHUP)
        await running.until(f'puller_sync_runs_total{{mirror="{scene.key("web")}",result="well"}}', 1)
        end, _ = await running.end(signal.SIGTERM)
        assert "the configuration stays as it was" in end.err
    assert scene.has("web")


@real
async def test_r13_a_registry_that_fails_ends_nothing(scene: Scene) -> None:
    scene.up.faults.append(faults.status(403, repository="web", times=None))
    async with daemon(scene) as running:
        found = await running.until("puller_sync_run_duration_seconds_count", 1)
        assert found[f'puller_sync_last_run_well{{mirror="{scene.key("app")}"}}'] == 1
        assert found[f'puller_sync_last_run_well{{mirror="{scene.key("web")}"}}'] == 0
        assert (await running.page("/healthz"))[0] == 200
    status = await ran("status", str(scene.file), "--state", str(scene.state), home=scene.folder)
    assert status.code == 1
    assert f"{scene.up.host}/web" in status.out.partition("\n\n")[2]


@real
async def test_r13_a_run_that_another_process_keeps_off_is_skipped_and_counted(scene: Scene) -> None:
    with only_run(scene.state):
        async with daemon(scene) as running:
            await running.until(f'puller_sync_skipped_total{{mirror="{scene.key("app")}",reason="busy"}}', 1)
            end, seconds = await running.end(signal.SIGTERM)
            assert end.code == 0
            assert "skipped, and tried again every 60 s: another run holds this state" in end.err
            assert seconds < SOON / 2
    assert not scene.has("app")


def test_a_configuration_without_schedules_has_nothing_to_wait_for(scene: Scene, puller: Puller) -> None:
    scene.write("app", schedule=None)
    end = puller("sync", "--schedule", str(scene.file), "--state", str(scene.state))
    assert end.code == 2
    assert "no mirror has a schedule" in end.err
    assert "--every 6h" in end.err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--every", "6h"], "--every goes with --schedule"),
        (["--listen", ":9090"], "--listen goes with --schedule"),
        (["--keep-reports", "3"], "--keep-reports goes with --report-dir"),
        (["--schedule", "--dry-run"], "--schedule goes with neither"),
        (["--schedule", "--report", "x.json"], "--schedule goes with neither"),
        (["--schedule", "--every", "6 weeks"], "where      --every\n  wanted     as in 90m, 6h or 2d"),
        (["--schedule", "--listen", "nowhere"], "no address to listen on"),
    ],
)
def test_words_that_mean_nothing_are_refused(scene: Scene, puller: Puller, words: list[str], what: str) -> None:
    end = puller("sync", *words, str(scene.file), "--state", str(scene.state))
    assert end.code == 2
    assert what in end.err
    assert len(scene.up.journal) == 0


def test_an_unknown_time_zone_is_refused(scene: Scene, puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Nowhere")
    end = puller("sync", "--schedule", str(scene.file), "--state", str(scene.state))
    assert end.code == 2
    assert "Europe/Nowhere" in end.err


@real
def test_a_single_run_keeps_its_report_and_notes_when_it_ran(scene: Scene, puller: Puller) -> None:
    words = [str(scene.file), "--state", str(scene.state)]
    for _ in range(3):
        end = puller("sync", *words, "--report-dir", str(scene.folder / "reports"), "--keep-reports", "2")
        assert end.code == 0, end.err
    assert len(list((scene.folder / "reports").iterdir())) == 2
    found = json.loads(puller("status", "--json", *words).out)
    assert [one["well"] for one in found["mirrors"]] == [True, True]
    assert [one["counts"] for one in found["mirrors"]] == [{"unchanged": 1}] * 2
