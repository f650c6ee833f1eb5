"""The store between other tools: umoci and skopeo read what it writes, and it reads what they write."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from puller.model.reference import Reference
from puller.store.audit import audit
from puller.store.disk import DiskStore
from puller.store.gc import collect
from tests.contracts.sample import blob, put, stored

pytestmark = pytest.mark.slow

APP = Reference.parse("127.0.0.1:5000/team/app:1")


def run(*command: str | Path) -> str:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed")
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An image layout by umoci with one empty image named `first`."""
    root = tmp_path / "layout"
    run("umoci", "init", "--layout", root)
    run("umoci", "new", "--image", f"{root}:first")
    return root


async def test_a_layout_by_umoci_is_a_store(layout: Path) -> None:
    store = await DiskStore.open(layout, reserve=0)
    tags = await store.tags()
    assert list(tags) == ["first"]
    assert json.loads(await store.read(tags["first"], limit=10_000))["schemaVersion"] == 2
    assert (await audit(store)).findings == ()


async def test_umoci_and_skopeo_find_a_name_by_puller_beside_their_own(layout: Path) -> None:
    store = await DiskStore.open(layout, reserve=0)
    first = (await store.tags())["first"]
    await store.tag(APP, first)
    assert run("umoci", "ls", "--layout", layout).split() == ["first", str(APP)]
    seen = json.loads(run("skopeo", "inspect", f"oci:{layout}:{APP}"))
    assert seen["Digest"] == str(first.digest)


async def test_umoci_leaves_a_store_whole_that_it_has_worked_on(layout: Path) -> None:
    store = await DiskStore.open(layout, reserve=0)
    await store.tag(APP, (await store.tags())["first"])
    run("umoci", "tag", "--image", f"{layout}:first", "second")
    run("umoci", "config", "--image", f"{layout}:second", "--config.user", "nobody")
    run("umoci", "gc", "--layout", layout)
    again = await DiskStore.open(layout, reserve=0)
    assert set(await again.tags()) == {"first", "second", str(APP)}
    assert (await audit(again)).findings == ()


async def test_r12_what_others_have_named_is_not_collected(layout: Path) -> None:
    store = await DiskStore.open(layout, reserve=0)
    before = await stored(store)
    await put(store, blob(100))
    assert (await collect(store)).freed == (blob(100).digest,)
    assert await stored(store) == before


async def test_skopeo_copies_into_a_store_and_the_copy_is_sound(layout: Path, tmp_path: Path) -> None:
    store = await DiskStore.open(tmp_path / "store", reserve=0)
    run("skopeo", "copy", "--insecure-policy", f"oci:{layout}:first", f"oci:{tmp_path / 'store'}:{APP}")
    assert list(await store.tags()) == [str(APP)]
    assert (await store.resolve(APP)).digest in await stored(store)
    assert (await audit(store, [APP])).findings == ()
