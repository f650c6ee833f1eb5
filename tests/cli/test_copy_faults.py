"""`puller copy` where something goes wrong, and beside others who use the same directory."""

import asyncio
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from puller.model.digest import Digest
from testregistry import TestRegistry, faults, images, serve
from tests.cli.conftest import Puller
from tests.cli.picture import IMAGE
from tests.cli.program import ended, ran, started
from tests.cli.test_full_disk import fill
from tests.store.plainly import listed
from tests.tools import skopeo

pytestmark = pytest.mark.slow  # processes, file systems and a tool

SIZE = 3 << 20
LARGE = images.image(images.layer({"large": random.Random(6).randbytes(SIZE)}))


def assert_right(folder: Path) -> None:
    """Every blob is what its name says."""
    for path in (folder / "blobs" / "sha256").iterdir():
        assert Digest.of(path.read_bytes()).hex == path.name


def test_skopeo_and_puller_use_one_directory(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    registry.add("app:1", IMAGE)
    registry.add("app:2", LARGE)
    folder = tmp_path / "images"
    assert puller("copy", registry.name("app:1"), f"oci:{folder}:ours").code == 0
    skopeo(
        "--insecure-policy",
        "copy",
        "-q",
        "--src-tls-verify=false",
        f"docker://{registry.name('app:2')}",
        f"oci:{folder}:theirs",
    )
    assert puller("copy", registry.name("app:2"), f"oci:{folder}:second").code == 0
    assert skopeo("--insecure-policy", "inspect", "--raw", f"oci:{folder}:ours").encode() == IMAGE.raw
    for name in ("ours", "theirs", "second"):
        skopeo("--insecure-policy", "copy", "-q", f"oci:{folder}:{name}", f"dir:{tmp_path}/{name}")
    assert listed(folder).keys() == {"ours", "theirs", "second"}
    assert puller("copy", f"oci:{folder}:theirs", f"oci:{tmp_path}/back:1").code == 0
    assert listed(tmp_path / "back")["1"] == listed(folder)["theirs"]
    assert_right(folder)


async def test_two_processes_copy_into_one_directory_and_lose_no_tag(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    many = {number: images.image(images.layer({"n": str(number).encode()})) for number in range(16)}
    async with serve() as registry:
        for number, image in many.items():
            registry.add(f"app{number % 2}:{number}", image)
        words = [("copy", registry.name(f"app{one}"), f"oci:{folder}", "--all-tags", "-q") for one in (0, 1)]
        ends = await asyncio.gather(*(ran(*some, home=tmp_path) for some in words))
    assert [end.code for end in ends] == [0, 0]
    assert listed(folder) == {str(number): image.digest for number, image in many.items()}
    assert_right(folder)


async def test_two_processes_bring_one_image_and_fetch_it_once(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    async with serve() as registry:
        registry.add("app:1", LARGE)
        words = "copy", registry.name("app:1"), f"oci:{folder}"
        ends = await asyncio.gather(*(ran(*words, home=tmp_path) for _ in range(2)))
        assert [end.code for end in ends] == [0, 0]
        assert registry.journal.count("GET", kind="blob") == 2
    assert listed(folder) == {"1": LARGE.digest}


async def test_r6_a_copy_that_was_killed_leaves_nothing_wrong_and_is_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    async with serve() as registry:
        registry.add("app:1", LARGE)
        registry.faults.append(faults.stall(LARGE.layers[0].digest, after=2 << 20, times=None))
        words = "copy", registry.name("app:1"), f"oci:{folder}"
        process = await started(*words, home=tmp_path)
        part = folder / ".puller" / "ingest" / LARGE.layers[0].digest.replace(":", "-") / "data"
        while not part.exists() or part.stat().st_size < 1 << 20:
            assert process.returncode is None
            await asyncio.sleep(0.01)
        process.kill()
        await process.wait()
        assert listed(folder) == {}
        assert_right(folder)
        registry.faults.clear()
        registry.journal.clear()
        assert (await ran(*words, home=tmp_path)).code == 0
        assert any(record.range for record in registry.journal.requests if record.kind == "blob")
    assert listed(folder) == {"1": LARGE.digest}
    assert_right(folder)


@pytest.mark.parametrize("target", ["oci:images", "oci-archive:a.tar", "docker-archive:a.tar"])
async def test_an_interrupt_leaves_no_name_and_no_archive(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with serve() as registry:
        registry.add("app:1", LARGE)
        begun = asyncio.Event()
        registry.on_request.append(lambda record: begun.set() if record.kind == "blob" else None)
        registry.faults.append(faults.hang(kind="blob"))
        process = await started("copy", registry.name("app:1"), target, home=tmp_path)
        await begun.wait()
        process.send_signal(signal.SIGINT)
        end = await ended(process)
    assert end.code == 130
    left = "what has arrived stays, and is not brought again" if target.startswith("oci:") else "no archive was written"
    assert end.err.splitlines()[-1] == f"interrupted; {left}"
    assert not (tmp_path / "a.tar").exists()
    if (tmp_path / "images" / "index.json").exists():
        assert listed(tmp_path / "images") == {}


@pytest.mark.parametrize("target", ["oci:{}:2", "oci-archive:{}/a.tar", "docker-archive:{}/a.tar"])
def test_a_full_disk_is_told_and_what_was_there_stays(
    puller: Puller, registry: TestRegistry, disk: Path, target: str
) -> None:
    registry.add("app:1", IMAGE)
    registry.add("app:2", LARGE)
    folder = disk / "images"
    assert puller("copy", registry.name("app:1"), f"oci:{folder}:1").code == 0
    fill(disk)
    end = puller("copy", registry.name("app:2"), target.format(folder))
    assert end.code == 1
    assert "[NoSpace]" in end.err
    assert listed(folder) == {"1": IMAGE.digest}
    assert_right(folder)
    (disk / "filler").unlink()
    assert not (folder / "a.tar").exists()
    assert puller("copy", f"oci:{folder}:1", f"oci:{disk}/second").code == 0


def test_a_directory_is_copied_from_a_file_system_that_cannot_be_written(
    puller: Puller, registry: TestRegistry, disk: Path, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    assert puller("copy", registry.name("app:1"), f"oci:{disk}/images").code == 0
    shutil.rmtree(disk / "images" / ".puller")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert puller("copy", f"oci:{disk}/images", f"oci:{tmp_path}/second").code == 0
    assert listed(tmp_path / "second") == {"1": IMAGE.digest}
    end = puller("copy", f"oci:{tmp_path}/second", f"oci:{disk}/images:2")
    assert end.code == 1
    assert "[StoreUnusable]" in end.err
