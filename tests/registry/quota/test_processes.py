"""The quota story among real processes, which share nothing but a folder."""

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from puller.registry.quota.allowance import Allowance
from puller.registry.quota.headers import Quota as Told
from puller.registry.quota.ledger import Ledgers
from puller.registry.quota.record import Record, account_key
from testregistry import Quota, TestRegistry, faults, serve
from tests.registry.quota.driver import Haste
from tests.registry.quota.party import fill

HOUR = 3600.0
WINDOW = 6 * HOUR
LOOKS = 4  # at each quarter of a window that others have begun, and at its end
SCALE = HOUR  # an hour is a second

pytestmark = pytest.mark.slow


async def started(folder: Path, haste: Haste, names: list[str], *, max_wait: float = 8 * HOUR) -> Process:
    words = [str(folder), str(haste.scale), repr(haste.begun), repr(haste.wall), str(max_wait), *names]
    module = ("-m", "tests.registry.quota.driver")
    root = Path(__file__).parents[3]
    return await asyncio.create_subprocess_exec(sys.executable, *module, *words, stdout=PIPE, stderr=PIPE, cwd=root)


async def ended(process: Process) -> list[str]:
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert err == b""
    assert process.returncode == 0, out
    return out.decode().splitlines()


def hasty() -> Haste:
    return Haste(SCALE, time.time(), 1_700_000_000.0)


async def test_four_processes_want_forty_images_of_a_hub_that_has_ten_pulls_left(tmp_path: Path) -> None:
    haste = hasty()
    quota = Quota(100, WINDOW, used=90, clock=lambda: haste.now)
    async with serve(quota=quota) as registry:
        names = fill(registry, 40)
        four = [await started(tmp_path, haste, names[10 * n : 10 * n + 10]) for n in range(4)]
        lines = [line for told in await asyncio.gather(*map(ended, four)) for line in told]
        gets = registry.journal.find("GET", kind="manifest")
    assert sum(line.startswith("pulled ") for line in lines) == 40
    assert sum(get.status == 200 for get in gets) == 40
    assert sum(get.status == 429 for get in gets) <= LOOKS
    told = [line for line in lines if line.startswith("waiting ")]
    waits = [line for line in told if "the answer to another pull" not in line]  # seconds are milliseconds here
    assert all("pull quota used up: 0 of 100 left per 6h" in line for line in waits)
    assert len(waits) >= 4
    assert haste.now - haste.wall >= WINDOW


async def test_places_of_a_process_that_was_killed_are_free_at_once(tmp_path: Path) -> None:
    haste = hasty()
    quota = Quota(7, WINDOW, clock=lambda: haste.now)
    async with serve(quota=quota) as registry:
        names = fill(registry, 4)
        known = await started(tmp_path, haste, names[:1])
        await ended(known)
        # Of six that are left three are taken by one who never gets an answer, and is killed while it waits for them;
        # the registry has counted them.
        hanging = faults.hang(kind="manifest", method="GET", times=3)
        registry.faults.append(hanging)
        doomed = await started(tmp_path, haste, names[1:])
        await _met(registry, hanging, 3)
        held = [hold for account in _accounts(tmp_path, registry) for hold in account]
        assert len(held) == 3
        doomed.send_signal(signal.SIGKILL)
        await doomed.wait()
        lines = await ended(await started(tmp_path, haste, names[1:]))
        assert not [line for line in lines if line.startswith("waiting ")]
        assert sum(line.startswith("pulled ") for line in lines) == 3
    assert not [hold for account in _accounts(tmp_path, registry) for hold in account]


async def test_a_dead_scout_is_followed_by_another(tmp_path: Path) -> None:
    haste = hasty()
    quota = Quota(2, WINDOW, used=2, kind="ietf", clock=lambda: haste.now)
    async with serve(quota=quota) as registry:
        names = fill(registry, 2)
        hanging = faults.hang(kind="manifest", method="GET")
        registry.faults.append(hanging)
        one, two = [await started(tmp_path, haste, [name]) for name in names]
        await _met(registry, hanging, 1)
        scout = registry.journal.find("GET", kind="manifest")[0].repository
        doomed, other = (one, two) if scout == "app0" else (two, one)
        doomed.send_signal(signal.SIGKILL)
        await doomed.wait()
        words = [line.split()[0] for line in await ended(other)]
    assert (words[0], words[-1], words.count("pulled")) == ("waiting", "pulled", 1)


async def test_a_process_that_is_stopped_while_it_holds_the_lock_holds_nobody_up(tmp_path: Path) -> None:
    haste = hasty()
    async with serve(quota=Quota(9, WINDOW, clock=lambda: haste.now)) as registry:
        names = fill(registry, 1)
        ledger = Ledgers(tmp_path, lambda: haste.now).of(registry.host)
        await ledger.change(lambda record, now: (record, None))
        [lock] = _locks(tmp_path)
        program = (
            f"import fcntl,os,signal; f=open({str(lock)!r}); fcntl.flock(f, 2); os.kill(os.getpid(), signal.SIGSTOP)"
        )
        stopped = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
        try:
            while not _is_stopped(stopped.pid):  # noqa: ASYNC110  # another process is waited for
                await asyncio.sleep(0.01)
            process = await started(tmp_path, haste, names)
            out, err = await asyncio.wait_for(process.communicate(), 30)
        finally:
            stopped.kill()
            await stopped.wait()
    assert out.decode().splitlines() == [f"pulled {names[0]}"]
    assert err.count(b"not shared with other processes") == 1


def spend(record: Record, now: float) -> tuple[Record, int]:
    known = record.accounts.get(account_key(""))
    left = (10**6 if known is None else known.remaining) - 1
    told = Allowance.learnt(Told(left, 10**6, WINDOW), sent=now, now=now)
    return record.with_account(account_key(""), told), left


async def test_r5_a_writer_that_is_killed_at_any_moment_leaves_a_record_and_no_lock(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, time; from pathlib import Path\n"
        "from tests.registry.quota.test_processes import spend\n"
        "from puller.registry.quota.ledger import Ledgers\n"
        "async def main():\n"
        "    ledger = Ledgers(Path(sys.argv[1]), time.time).of('r.example')\n"
        "    print('ready', flush=True)\n"
        "    while True: await ledger.change(spend)\n"
        "asyncio.run(main())\n"
    )
    mine = Ledgers(tmp_path, time.time).of("r.example")
    left = 10**6
    for n in range(12):
        words = (sys.executable, "-c", program, str(tmp_path))
        writer = await asyncio.create_subprocess_exec(*words, stdout=PIPE, cwd=Path(__file__).parents[3])
        assert writer.stdout is not None
        await writer.stdout.readline()
        await asyncio.sleep(0.001 * n)
        writer.kill()
        await writer.wait()
        now_left = await mine.change(spend)
        assert now_left < left
        left = now_left


async def _met(registry: TestRegistry, fault: faults.Fault, times: int) -> None:
    async with asyncio.timeout(30):
        while registry.faults.met(fault) < times:  # noqa: ASYNC110  # another process is waited for
            await asyncio.sleep(0.01)


def _accounts(folder: Path, registry: TestRegistry) -> list[tuple[object, ...]]:
    record = Ledgers(folder, time.time).of(registry.host).peek()
    return [allowance.holds for allowance in record.accounts.values()]


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T"


def _locks(folder: Path) -> list[Path]:
    return list(folder.glob("*.lock"))
