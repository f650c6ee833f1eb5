"""What somebody sees of quotas who pulls by the command line."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

from puller.cli.environment import limits_path
from puller.cli.lines import duration_text, waiting_line
from puller.model.event import Waiting
from testregistry import TestRegistry, faults, images
from testregistry.quota import Quota
from tests.cli.conftest import Puller
from tests.cli.program import ended, started
from tests.cli.serving import serving

pytestmark = pytest.mark.slow  # many small tests: for `make test`

IMAGE = images.image(images.layer({"a": b"a"}))


def test_a_quota_that_opens_too_late_is_told_with_its_end_and_what_to_do(
    puller: Puller, registry: TestRegistry
) -> None:
    registry.add("app:1", IMAGE)
    registry.quota = Quota(100, 21600, used=100)
    end = puller("pull", registry.name("app:1"))
    assert end.code == 1
    assert "pull quota used up: 0 of 100 left per 6h  [RateLimited]" in end.err
    assert "a wait of at most 15m" in end.err
    assert "at the latest" in end.err
    assert "--max-wait 6h" in end.err
    assert "log in" in end.err
    assert registry.journal.count("GET", kind="manifest") == 0


def test_how_long_to_wait_is_the_user_s_to_say(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    registry.faults.append(faults.status(429, headers={"Retry-After": "3"}, kind="manifest", times=None))
    end = puller("pull", "--max-wait", "2s", registry.name("app:1"))
    assert end.code == 1
    assert "the host asks for a pause" in end.err
    assert "a wait of at most 2s" in end.err


def test_the_next_process_knows_what_this_one_was_told(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    registry.add("app:1", IMAGE)
    registry.faults.append(faults.status(429, headers={"Retry-After": "4000"}, kind="manifest"))
    assert puller("pull", registry.name("app:1")).code == 1
    before = len(registry.journal)
    assert puller("pull", registry.name("app:1")).code == 1
    assert len(registry.journal) == before
    folder = tmp_path / "home" / ".local" / "state" / "puller" / "hosts"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_wait_is_told_with_its_reason_and_its_end(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    registry.faults.append(faults.status(429, headers={"Retry-After": "0"}, kind="manifest"))
    end = puller("pull", registry.name("app:1"))
    assert end.code == 0
    assert f"waiting for {registry.host}: the host asks for a pause; until " in end.err


def test_programs_are_told_of_waits_too(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    registry.faults.append(faults.status(429, headers={"Retry-After": "0"}, kind="manifest"))
    end = puller("pull", "--json", registry.name("app:1"))
    [waiting] = [event for line in end.out.splitlines() if (event := json.loads(line))["event"] == "waiting"]
    assert waiting["host"] == registry.host
    assert waiting["reason"] == "the host asks for a pause"
    assert abs(waiting["until"] - time.time()) < 60
    assert 0 <= waiting["seconds"] <= 1


def test_requests_come_at_the_pace_that_is_asked_for(puller: Puller) -> None:
    with serving() as registry:
        registry.add("app:1", IMAGE)
        assert puller("pull", "--request-rate", "20", registry.name("app:1")).code == 0
        times = [request.started for request in registry.journal]
    assert len(times) >= 4
    # Sleeps end late and never early, so that only the whole is sure.
    assert times[-1] - times[0] >= 0.05 * (len(times) - 1) - 0.02


@pytest.mark.slow
async def test_ctrl_c_ends_a_wait_at_once(home: Path) -> None:
    with serving(faults=[faults.status(429, headers={"Retry-After": "600"}, times=None)]) as registry:
        registry.add("app:1", IMAGE)
        process = await started("pull", registry.name("app:1"), home=home)
        assert process.stderr is not None
        async with asyncio.timeout(20):
            line = await process.stderr.readline()
        assert b"waiting for" in line
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        end = await ended(process)
    assert end.code == 130
    assert time.monotonic() - begun < 2
    assert "interrupted" in end.err


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"HOME": "/home/me"}, "/home/me/.local/state/puller/hosts"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "/state"}, "/state/puller/hosts"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "relative"}, "/home/me/.local/state/puller/hosts"),
        ({}, "None"),
    ],
)
def test_where_processes_tell_one_another(environ: dict[str, str], wanted: str) -> None:
    assert str(limits_path(environ)) == wanted


def test_logins_and_jobs_of_one_user_tell_one_another(tmp_path: Path) -> None:
    at_login = {"HOME": "/home/me", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert limits_path(at_login) == limits_path({"HOME": "/home/me"})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59, "59 s"),
        (60, "1m"),
        (303, "5m 3s"),
        (18720, "5h 12m"),
        (21600, "6h"),
        (90000, "1d 1h"),
        (86400 * 366, "366d"),
    ],
)
def test_lengths_of_time_are_told_as_people_tell_them(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_line_of_a_wait_cannot_act_on_a_terminal() -> None:
    line = waiting_line(Waiting("h\x1b[2J", "why\n", 5.0, time.time() + 5))
    assert line.isprintable()
    assert os.linesep not in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_root_keeps_no_limits_in_the_home_of_another(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert limits_path({"HOME": str(home)}) == home / ".local/state/puller/hosts"
    os.chown(home, 12345, 12345)
    assert limits_path({"HOME": str(home)}) is None
