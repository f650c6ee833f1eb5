"""Ctrl-C: a process that is at work on an image graph ends at once, with 130 and no traceback."""

import asyncio
import random
import signal
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path

import pytest

from puller.cli.main import run
from puller.graph.tags import DiskTagStore
from tests.cli.program import Ended, ended, started
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
    "words",
    [
        ("graph", "check", "--disk"),
        ("graph", "check", "--tarsum"),
        ("verify", "big:1"),
        ("verify", "--all"),
        ("save", "big:1", "-o", "big.tar"),
        ("convert", "big:1", "--to", "oci", "new:1"),
    ],
    ids=" ".join,
)
async def test_an_interrupt_while_a_layer_is_read_ends_it_calmly(
    words: tuple[str, ...], store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(4):
        end = await interrupted(*words, store=store)
        assert end.code == 130
        assert "Traceback" not in end.err
        assert left_in(tmp_path) == []
