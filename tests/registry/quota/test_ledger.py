"""The file that all processes of a user share, and what becomes of it when it is not what it should be."""

import asyncio
import fcntl
import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.registry.quota.allowance import Allowance
from puller.registry.quota.distrust import Distrust
from puller.registry.quota.headers import Quota
from puller.registry.quota.holder import Holder
from puller.registry.quota.ledger import Ledger, Ledgers
from puller.registry.quota.record import Record, account_key

NOW = 1_700_000_000.0
HOST = "registry.example:5000"
FILE = "registry.example%3A5000.json"
ME = account_key("")


def ledger(folder: Path | None, host: str = HOST) -> Ledger:
    return Ledgers(folder, lambda: NOW).of(host)


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def learn(record: Record, now: float) -> tuple[Record, int]:
    known = record.accounts.get(ME) or Allowance.learnt(Quota(1000, 1000, 60.0), sent=now, now=now)
    known = Allowance.learnt(Quota(known.remaining - 1, 1000, 60.0), sent=now, now=now)
    return record.with_account(ME, known), known.remaining


async def test_what_one_has_learnt_all_know(tmp_path: Path) -> None:
    assert await ledger(tmp_path / "limits").change(learn) == 999
    assert ledger(tmp_path / "limits").peek().accounts[ME].remaining == 999
    assert await ledger(tmp_path / "limits").change(learn) == 998


async def test_hosts_and_folders_are_apart(tmp_path: Path) -> None:
    await ledger(tmp_path).change(learn)
    assert ledger(tmp_path, "other.example").peek() == Record()
    assert ledger(None).peek() == Record()


async def test_the_files_are_this_user_s_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "limits"
    await ledger(folder).change(learn)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert sorted(file.name for file in folder.iterdir()) == [
        FILE,
        "registry.example%3A5000.lock",
    ]


@pytest.mark.parametrize("host", ["[::1]:5000", "..", "../../etc/passwd", "a/b", "x" * 5000, "\x00"])
async def test_no_host_leads_out_of_the_folder(tmp_path: Path, host: str) -> None:
    await ledger(tmp_path, host).change(learn)
    assert len(_names(tmp_path)) == 2
    assert ledger(tmp_path, host).peek().accounts


async def test_a_record_of_nothing_is_no_file(tmp_path: Path) -> None:
    mine = ledger(tmp_path)
    await mine.change(learn)
    await mine.change(lambda record, now: (Record(), None))
    assert FILE not in _names(tmp_path)
    assert mine.peek() == Record()


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff" * 100, b'{"form": 99}', b"[" * 300_000, b"x" * (1 << 20)])
async def test_a_file_that_is_no_record_is_started_anew(tmp_path: Path, raw: bytes) -> None:
    await ledger(tmp_path).change(learn)
    (tmp_path / FILE).write_bytes(raw)
    assert ledger(tmp_path).peek() == Record()
    assert await ledger(tmp_path).change(learn) == 999


async def test_changes_of_many_tasks_are_each_made_once(tmp_path: Path) -> None:
    left = await asyncio.gather(*(ledger(tmp_path).change(learn) for _ in range(50)))
    assert sorted(left) == list(range(950, 1000))


async def test_a_lock_of_another_is_waited_for(tmp_path: Path) -> None:
    mine = ledger(tmp_path)
    await mine.change(learn)
    with _locked(tmp_path):
        assert mine.try_change(learn) is None
        waiting = asyncio.create_task(mine.change(learn))
        await asyncio.sleep(0.01)
        assert not waiting.done()
    assert await waiting == 998


async def test_a_link_in_the_place_of_the_file_is_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    folder = tmp_path / "limits"
    folder.mkdir(mode=0o700)
    for name in ("json", "lock", "new"):
        (folder / f"registry.example%3A5000.{name}").symlink_to(victim)
    assert await ledger(folder).change(learn) == 999
    assert victim.read_bytes() == b"mine"
    assert "not shared with other processes" in caplog.text


def _foreign(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def _file(folder: Path) -> None:
    folder.write_bytes(b"")


def _no_room(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "registry.example%3A5000.new").mkdir()


async def test_nothing_is_made_in_a_folder_that_is_not_this_user_s_alone(tmp_path: Path) -> None:
    _foreign(tmp_path / "limits")
    await ledger(tmp_path / "limits").change(learn)
    assert list((tmp_path / "limits").iterdir()) == []


@pytest.mark.parametrize("spoil", [_foreign, _file, _no_room])
async def test_where_no_file_can_be_kept_the_process_goes_on_alone_and_says_so_once(
    tmp_path: Path, spoil: object, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "limits"
    assert callable(spoil)
    spoil(folder)
    mine = ledger(folder)
    with caplog.at_level(logging.WARNING):
        assert [await mine.change(learn) for _ in range(3)] == [999, 998, 997]
    assert mine.peek().accounts[ME].remaining == 997
    assert len(caplog.records) == 1


async def test_l1_a_full_disk_leaves_the_process_alone_with_what_is_known(
    full: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine = ledger(full)
    await mine.change(learn)
    with pytest.raises(OSError, match="No space"):
        (full / "ballast").write_bytes(bytes(1 << 20))
    assert [await mine.change(learn) for _ in range(2)] == [998, 997]
    assert ledger(full).peek().accounts[ME].remaining == 999
    assert "No space left on device" in caplog.text


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32k,mode=700", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


async def test_distrust_of_a_host_is_remembered_with_the_rest(tmp_path: Path) -> None:
    mine = ledger(tmp_path)
    await mine.change(learn)
    mine.try_change(lambda record, now: (Record(distrust=Distrust.grown(record.distrust, 30, now)), None))
    known = ledger(tmp_path).peek().distrust
    assert known is not None
    assert known.until == NOW + 30


def test_a_process_that_has_ended_holds_nothing() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        stat = Path(f"/proc/{child.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        me = Holder.this()
        other = Holder(child.pid, stat[19], "ab", me.namespace)
        assert other.is_alive()
        assert not Holder(child.pid, "1", "ab", me.namespace).is_alive()  # the ID has come again
        child.kill()
    assert not other.is_alive()
    assert me.is_alive()


def test_a_process_that_is_stopped_holds_nothing_until_it_goes_on() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            stat = Path(f"/proc/{child.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            other = Holder(child.pid, stat[19], "ab", Holder.this().namespace)
            child.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, child.pid, os.WSTOPPED)
            assert not other.is_alive()
            child.send_signal(signal.SIGCONT)
            os.waitid(os.P_PID, child.pid, os.WCONTINUED)
            assert other.is_alive()
        finally:
            child.kill()


def test_what_cannot_be_seen_from_here_is_taken_to_be_alive() -> None:
    assert Holder(1 << 22, "5", "ab", "pid:[elsewhere]").is_alive()


def test_holders_of_one_process_are_told_apart_and_come_back_as_they_were() -> None:
    one, two = Holder.this(), Holder.this()
    assert one != two
    assert Holder.parse(str(one)) == one
    for text in ("", "x:1:2:3", "1:2"):
        with pytest.raises(ValueError, match=r"."):
            Holder.parse(text)


class _locked:  # noqa: N801  # used as a function
    """The lock of the one host in a folder, held as another process would."""

    def __init__(self, folder: Path) -> None:
        [self._path] = folder.glob("*.lock")

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
