"""`puller sync` and the files it keeps: links planted in their places, any byte of them wrong, and who may use them."""

import json
import os
import random
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Puller
from tests.cli.mirrored import Mirrored, image, mirrored

pytestmark = pytest.mark.slow  # many small tests: for `make test`

WIDE: dict[str, Any] = {"enabled": True, "max": "100%", "keep": 0}


@pytest.fixture
def world(puller: Puller, tmp_path: Path) -> Iterator[Mirrored]:
    """`app` in step in a directory where somebody has a tag of their own; `old` is gone from the source since."""
    with mirrored(puller, tmp_path, "oci") as made:
        for tag in ("1", "2", "old"):
            made.up.add(f"app:{tag}", image(f"app {tag}"))
        made.up.add("other:theirs", image("theirs"))
        made.write("app", prune=WIDE)
        assert puller("copy", f"{made.up.host}/other:theirs", f"oci:{tmp_path}/app:theirs").code == 0
        assert sync(made).code == 0
        made.up.storage.untag("app", "old")
        yield made


def sync(world: Mirrored, *words: str) -> Any:
    return world.sync("--state", str(world.folder / "state"), *words)


# H1 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run.lock", "state.db", "tombstones.jsonl"])
def test_h1_a_link_in_the_place_of_a_file_of_the_state_is_not_followed(world: Mirrored, name: str) -> None:
    victim, planted = world.folder / "victim", world.folder / "state" / name
    victim.write_bytes(b"precious")
    planted.unlink(missing_ok=True)
    planted.symlink_to(victim)
    end = sync(world)
    assert end.code == 1
    assert "[Store" in end.err
    assert victim.read_bytes() == b"precious"
    assert set(world.there("app")) == {"1", "2", "old", "theirs"}


@pytest.mark.parametrize("verb", ["sync", "plan"])
def test_h1_a_link_in_the_place_of_a_report_or_plan_is_replaced_and_not_followed(
    world: Mirrored, puller: Puller, verb: str
) -> None:
    victim, planted = world.folder / "victim", world.folder / "planted.json"
    victim.write_bytes(b"precious")
    planted.symlink_to(victim)
    option = "--report" if verb == "sync" else "-o"
    assert puller(verb, str(world.file), option, str(planted), "--state", str(world.folder / "state")).code == 0
    assert victim.read_bytes() == b"precious"
    assert not planted.is_symlink()
    assert json.loads(planted.read_text())["schema"] == 1


def test_h1_a_link_planted_under_the_name_that_unfinished_reports_once_had_is_left_alone(world: Mirrored) -> None:
    victim = world.folder / "victim"
    victim.write_bytes(b"precious")
    (world.folder / ".report.json.unfinished").symlink_to(victim)
    assert sync(world).code == 0
    assert victim.read_bytes() == b"precious"
    assert world.report()["well"]


@pytest.mark.parametrize("name", [".puller", "blobs", "blobs/sha256"])
def test_h1_a_link_in_the_place_of_a_folder_of_the_target_leads_nowhere(world: Mirrored, name: str) -> None:
    elsewhere, folder = world.folder / "elsewhere", world.folder / "app"
    elsewhere.mkdir()
    shutil.rmtree(folder / name)
    (folder / name).symlink_to(elsewhere)
    world.up.add("app:3", image("app 3"))
    end = sync(world)
    assert end.code != 0
    assert list(elsewhere.rglob("*")) == []
    assert {"1", "2", "old", "theirs"} <= set(world.there("app"))


def test_h1_a_link_in_the_place_of_the_index_of_the_target_is_not_written_through(world: Mirrored) -> None:
    victim, index = world.folder / "victim", world.folder / "app/index.json"
    shutil.copy(index, victim)
    before = victim.read_bytes()
    index.unlink()
    index.symlink_to(victim)
    world.up.add("app:3", image("app 3"))
    sync(world)
    assert victim.read_bytes() == before


# H6 -------------------------------------------------------------------------------------------------------------------


class Snapshot:
    """The state and the target as they are now, to be put back again and again."""

    def __init__(self, world: Mirrored) -> None:
        self._folder = world.folder
        for name in ("state", "app"):
            shutil.copytree(self._folder / name, self._folder / "before" / name)

    def restore(self) -> None:
        for name in ("state", "app"):
            shutil.rmtree(self._folder / name)
            shutil.copytree(self._folder / "before" / name, self._folder / name)


def flips(raw: bytes, count: int) -> Iterator[tuple[int, bytes]]:
    """The bytes with one of them wrong, at so many places, the first hundred among them."""
    chance = random.Random(6)
    places = [*chance.sample(range(min(100, len(raw))), count // 3), *chance.choices(range(len(raw)), k=count)]
    for place in places:
        yield place, raw[:place] + bytes([raw[place] ^ (1 << chance.randrange(8))]) + raw[place + 1 :]


def test_h6_any_byte_of_the_state_may_be_wrong_and_nothing_goes_that_should_not(world: Mirrored) -> None:
    before = Snapshot(world)
    database = world.folder / "state" / "state.db"
    for place, wrong in flips(database.read_bytes(), 60):
        before.restore()
        database.write_bytes(wrong)
        end = sync(world)
        there = world.there("app")
        assert {"1", "2", "theirs"} <= set(there), place
        assert there == {tag: image(f"app {tag}" if tag != "theirs" else "theirs").digest for tag in there}, place
        assert end.code in (0, 1), (place, end.err)
        assert "Traceback" not in end.err, place
        if end.code:  # then the next run has set it aside
            assert "[StoreUnusable]" in end.err + json.dumps(world.report()), (place, end.err)
            assert sync(world).code == 0, place


def test_h6_a_state_that_is_cut_off_or_empty_takes_nothing_away(world: Mirrored) -> None:
    before = Snapshot(world)
    database = world.folder / "state" / "state.db"
    raw = database.read_bytes()
    for size in (0, 1, 99, 100, 4096, 5000, len(raw) // 2, len(raw) - 1):
        before.restore()
        database.write_bytes(raw[:size])
        end = sync(world)
        assert end.code == 0, (size, end.err)
        assert {"1", "2", "theirs"} <= set(world.there("app")), size
        assert world.asked("GET", "manifest") == 0, size


def test_h6_any_byte_of_a_plan_may_be_wrong_and_nothing_is_done(world: Mirrored, puller: Puller) -> None:
    plan, state = world.folder / "plan.json", ("--state", str(world.folder / "state"))
    world.up.add("app:3", image("app 3"))
    assert puller("plan", str(world.file), "-o", str(plan), *state).code == 0
    raw = plan.read_bytes()
    for place, wrong in flips(raw, 60):
        plan.write_bytes(wrong)
        end = puller("apply", str(plan), *state)
        if end.code == 0:
            assert raw[place : place + 1].isspace(), place  # white space within a document says nothing
            break
        assert end.code == 2, (place, end.err)
        assert set(world.there("app")) == {"1", "2", "old", "theirs"}, place


def test_h6_any_byte_of_a_lock_file_may_be_wrong_and_nothing_goes(world: Mirrored, puller: Puller) -> None:
    lock = world.folder / "mirrors.lock"
    world.up.tag("app:old", image("app old").digest)
    assert puller("lock", str(world.file), "-o", str(lock)).code == 0
    before = Snapshot(world)
    for place, wrong in flips(lock.read_bytes(), 60):
        before.restore()
        lock.write_bytes(wrong)
        end = sync(world, "--locked", str(lock))
        there = world.there("app")
        assert {"1", "2", "old", "theirs"} <= set(there), (place, end)
        assert there["1"] == image("app 1").digest, place
        assert "Traceback" not in end.err, place


# H7 -------------------------------------------------------------------------------------------------------------------


def test_h7_without_a_umask_nobody_else_may_read_the_state_or_write_to_plan_report_or_lock(
    world: Mirrored, puller: Puller
) -> None:
    shutil.rmtree(world.folder / "state")
    state = "--state", str(world.folder / "state")
    before = os.umask(0)
    try:
        assert sync(world).code == 0
        assert sync(world, "--report-dir", str(world.folder / "reports")).code == 0
        assert puller("plan", str(world.file), "-o", str(world.folder / "plan.json"), *state).code == 0
        assert puller("lock", str(world.file), "-o", str(world.folder / "mirrors.lock")).code == 0
    finally:
        os.umask(before)
    for path in (world.folder / "state", *(world.folder / "state").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    files = [world.folder / name for name in ("report.json", "plan.json", "mirrors.lock")]
    for path in (*files, *(world.folder / "reports").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o022 == 0, path
