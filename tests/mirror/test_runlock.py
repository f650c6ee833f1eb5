"""One run at a time works on a state, and one that has died holds nobody up."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from puller.errors import StoreBusy, StoreUnusable
from puller.mirror.runlock import NAME, Running, only_run, running

HOLD = """
import sys, time
from pathlib import Path
from puller.mirror.runlock import only_run
with only_run(Path(sys.argv[1]), now=lambda: 1790000000.0):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_the_second_run_is_told_who_holds_the_state_and_since_when(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(StoreBusy) as caught, only_run(tmp_path):
            pass
        process.communicate()
    assert caught.value.got == Running(process.pid, 1790000000.0)
    assert str(caught.value.got) == f"process {process.pid}, since 2026-09-21 14:13:20 UTC"


def test_r5_a_run_that_was_killed_holds_nobody_up(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert json.loads((tmp_path / NAME).read_bytes())["pid"] == process.pid
        assert running(tmp_path) is None
        with only_run(tmp_path, now=lambda: 5.0):
            assert running(tmp_path) == Running(os.getpid(), 5.0)
        process.communicate()


def test_who_asks_whether_a_run_is_under_way_stops_none(tmp_path: Path) -> None:
    assert running(tmp_path / "none") is None
    with only_run(tmp_path):
        found = running(tmp_path)
        assert found is not None
        assert found.pid == os.getpid()
    assert running(tmp_path) is None


def test_one_run_may_follow_another(tmp_path: Path) -> None:
    for _ in range(2):
        with only_run(tmp_path):
            pass
    with pytest.raises(RuntimeError), only_run(tmp_path):
        raise RuntimeError
    with only_run(tmp_path):
        pass


@pytest.mark.parametrize("said", [b"", b"{", b'{"pid": "1", "started": "noon"}', b'{"pid": 1, "started": 1e300}'])
def test_h6_a_lock_that_says_nonsense_is_still_a_lock(tmp_path: Path, said: bytes) -> None:
    with only_run(tmp_path):
        (tmp_path / NAME).write_bytes(said)
        with pytest.raises(StoreBusy, match="another run"), only_run(tmp_path):
            pass


def test_h7_the_folder_is_for_its_user_alone(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        with only_run(tmp_path / "new" / "state"):
            assert (tmp_path / "new" / "state").stat().st_mode & 0o777 == 0o700
            assert (tmp_path / "new" / "state" / NAME).stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(mask)


def test_h1_a_link_that_somebody_has_put_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / NAME).symlink_to(victim)
    with pytest.raises(StoreUnusable), only_run(tmp_path / "state"):
        pass
    assert victim.read_bytes() == b"precious"
