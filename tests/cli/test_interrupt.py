"""Ctrl-C: a process that is at work on an image graph ends at once, with 130 and no traceback."""

import asyncio
import random
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path

import pytest

from puller.cli.main import run
from puller.graph.tags import DiskTagStore
from testregistry import faults, images, serve
from tests.cli.program import Ended, ended, ran, started
from tests.graph.images import graph_at, named, plant

pytestmark = pytest.mark.slow  # processes, and a layer that takes them a second

SIZE = 3 << 30  # bytes, none of them on disk
DICE = random.Random(130)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose graph has one image, `big:1`, with a layer that nobody reads in a moment."""
    folder = tmp_path_factory.mktemp("interrupt") / "store"
    assert run(["images", "--store", str(folder)]) == 0
    plant(folder, "big")
    with (folder / "vfs" / "dir" / named("big") / "file").open("wb") as file:
        file.truncate(SIZE)
    DiskTagStore(folder / "repositories-vfs", graph_at(folder), durable=False).tag("big", "1", named("big"))
    return folder


def is_reading(process: Process) -> bool:
    """Whether it has the layer open."""
    links = []
    with suppress(FileNotFoundError):  # it has ended, or closed the file just now
        links += [str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
    return any("/vfs/dir/" in link for link in links)


async def interrupted(*words: str, store: Path) -> Ended:
    """The end of a process that got SIGINT at some moment while it read the layer."""
    process = await started(*words, "--store", str(store), home=store)
    while not is_reading(process):
        assert process.returncode is None
        await asyncio.sleep(0.005)
    await asyncio.sleep(DICE.uniform(0, 0.3))
    process.send_signal(signal.SIGINT)
    return await ended(process)


def left_in(folder: Path) -> list[Path]:
    """What lies there."""
    return list(folder.iterdir())


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("graph check --disk", ""),
        ("graph check --tarsum", ""),
        ("verify big:1", ""),
        ("verify --all", ""),
        ("save big:1 -o big.tar", "; nothing was written"),
        ("save big:1 -o -", "; the archive is not whole"),
        ("convert big:1 --to oci new:1", "; what was stored is kept for the next try, until `puller gc`"),
    ],
)
async def test_an_interrupt_while_a_layer_is_read_ends_it_calmly(
    words: str, left: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(4):
        end = await interrupted(*words.split(), store=store)
        assert (end.code, end.err) == (130, f"interrupted{left}\n")
        assert left_in(tmp_path) == []


async def test_a_push_that_is_interrupted_leaves_no_upload_in_the_registry(tmp_path: Path) -> None:
    large = images.image(images.layer({"large": random.Random(0).randbytes(3 << 20)}))
    async with serve() as registry:
        registry.add("app:1", large)
        name, store = registry.name("app:1"), str(tmp_path / "store")
        assert (await ran(name, "--store", store, home=tmp_path)).code == 0
        begun = asyncio.Event()
        registry.on_request.append(lambda record: begun.set() if record.method == "PATCH" else None)
        registry.faults.append(faults.hang(method="PATCH"))
        registry.faults.append(faults.status(404, method="POST", path="mount=", times=None))
        process = await started("push", name, name.replace("app", "other"), "--store", store, home=tmp_path)
        await begun.wait()
        process.send_signal(signal.SIGINT)
        end = await ended(process)
        assert end.code == 130
        assert end.err.splitlines()[-1] == "interrupted; layers that have arrived are not sent again"
        assert registry.journal.count("DELETE", kind="upload") >= 1  # of every upload that was open just then


def signals_in_a_row(pause: float) -> str:
    """A program that gets SIGINT while it works, and again while it cleans up, which takes a second."""
    return (
        "import anyio, os, signal, threading, time\n"
        "from puller.cli import interrupt\n"
        "interrupt.INSISTENT = 0.5\n"
        f"later = threading.Timer({pause}, os.kill, (os.getpid(), signal.SIGINT))\n"
        "async def main():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        later.start()\n"
        "        await anyio.sleep(60)\n"
        "    finally:\n"
        "        with anyio.CancelScope(shield=True):\n"
        "            await anyio.to_thread.run_sync(time.sleep, 1)\n"
        "        print('cleaned up')\n"
        "try:\n"
        "    interrupt.run(main, left='all stays')\n"
        "except KeyboardInterrupt as error:\n"
        "    print(interrupt.sentence(error))\n"
    )


@pytest.mark.parametrize(("pause", "out", "code"), [(0, "cleaned up\ninterrupted; all stays\n", 0), (0.7, "", -2)])
def test_a_second_interrupt_waits_for_what_is_cleaned_up_unless_it_insists(pause: float, out: str, code: int) -> None:
    end = subprocess.run([sys.executable, "-c", signals_in_a_row(pause)], capture_output=True, text=True, timeout=30)
    assert (end.stdout, end.stderr, end.returncode) == (out, "", code)


async def test_two_interrupts_at_once_end_a_copy_like_one(tmp_path: Path) -> None:
    large = images.image(images.layer({"large": random.Random(0).randbytes(8 << 20)}))
    async with serve() as registry:
        registry.add("app:1", large)
        begun = asyncio.Event()
        registry.on_request.append(lambda record: begun.set() if record.kind == "blob" else None)
        words = ("copy", registry.name("app:1"), f"oci:{tmp_path}/images", "--limit-rate", "1M")
        for _ in range(5):
            begun.clear()
            process = await started(*words, home=tmp_path)
            await begun.wait()
            await asyncio.sleep(DICE.uniform(0, 0.2))
            for _ in range(2):
                process.send_signal(signal.SIGINT)
            end = await ended(process)
            assert end.code == 130
            assert end.err.splitlines()[-1] == "interrupted; what has arrived stays, and is not brought again"


def test_who_was_started_with_signals_ignored_goes_on_ignoring_them() -> None:
    program = (
        "import os, signal\n"
        "from puller.cli import interrupt\n"
        "async def main():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return 'done'\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print(interrupt.run(main), signal.getsignal(signal.SIGINT) is signal.SIG_IGN)\n"
    )
    end = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (end.stdout, end.stderr) == ("done True\n", "")
