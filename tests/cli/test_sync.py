"""`puller sync`: what it asks for, what it brings, how it ends; to a registry and to a directory."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from testregistry import faults
from testregistry.fault import Fault
from tests.cli.conftest import Form, Puller
from tests.cli.mirrored import Mirrored, image, index, mirrored, stock

pytestmark = pytest.mark.slow  # many small tests: for `make test`


@pytest.fixture
def world(puller: Puller, tmp_path: Path, form: Form) -> Iterator[Mirrored]:
    """Six tags of three digests in two repositories, and nothing at the target."""
    with mirrored(puller, tmp_path, form) as made:
        stock(made.up, "app", "web")
        made.write("app", "web")
        yield made


def test_all_of_it_is_brought_under_the_same_digests(world: Mirrored) -> None:
    end = world.sync()
    assert end.code == 0, end.err
    for repository in ("app", "web"):
        assert world.there(repository) == {
            "1.0": image(f"{repository} 1").digest,
            "2.0": index(f"{repository} 2").digest,
            "latest": index(f"{repository} 2").digest,
        }
    assert world.actions("app") == {"1.0": "new", "2.0": "new", "latest": "new"}


def test_each_digest_is_fetched_once_whoever_needs_it(world: Mirrored) -> None:
    world.sync()
    wanted = [request.digest for request in world.up.journal.find("GET") if request.digest]
    assert sorted(wanted) == sorted(set(wanted))


def test_a_run_without_news_is_one_head_a_tag_on_each_side(world: Mirrored) -> None:
    world.sync()
    end = world.sync()
    assert end.code == 0
    assert {(request.method, request.kind) for request in world.up.journal} == {("GET", "tags"), ("HEAD", "manifest")}
    assert (world.asked("GET", "tags"), world.asked("HEAD", "manifest")) == (2, 6)
    assert {request.method for request in world.down.journal} <= {"HEAD"}
    assert len(world.down.journal) == (6 if world.form == "registry" else 0)
    assert set(world.actions().values()) == {"unchanged"}
    assert "synced  6 tags, 0 copied, 6 unchanged, 0 pruned, 0 failed" in end.err


def test_a_target_with_more_than_a_few_tags_is_asked_for_its_list_instead(world: Mirrored) -> None:
    for number in range(3, 6):
        world.up.tag(f"app:{number}.0", image("app 1").digest)
    world.write("app")
    world.sync()
    assert world.sync().code == 0
    assert (world.asked("GET", "tags"), world.asked("HEAD", "manifest")) == (1, 6)
    asked = [(request.method, request.kind) for request in world.down.journal]
    assert asked == ([("GET", "tags")] if world.form == "registry" else [])
    assert set(world.actions().values()) == {"unchanged"}
    world.write("app", recheck="0h")
    world.sync()
    asked = [(request.method, request.kind) for request in world.down.journal]
    assert asked == ([("HEAD", "manifest")] * 6 if world.form == "registry" else [])


def test_immutable_tags_that_are_there_are_not_asked_for(world: Mirrored) -> None:
    world.write("app", "web", immutable=[r"\d+\.\d+"])
    world.sync()
    world.sync()
    assert world.asked("HEAD", "manifest") == 2  # latest
    assert world.asked("GET", "manifest") == 0
    world.write("app", "web", tags=["1.0", "2.0"], immutable=[r"\d+\.\d+"])
    world.sync()
    assert len(world.up.journal) == 0


def test_one_tag_that_moved_costs_what_changed(world: Mirrored) -> None:
    world.sync()
    world.up.add("app:latest", image("app 3"))
    assert world.sync().code == 0
    assert world.actions("app") == {"1.0": "unchanged", "2.0": "unchanged", "latest": "changed"}
    assert world.there("app")["latest"] == image("app 3").digest
    fetched = {request.digest for request in world.up.journal.find("GET") if request.digest}
    new = image("app 3")
    assert fetched == {new.digest, new.config.digest, new.layers[1].digest}
    assert world.asked("HEAD", "manifest") == 6


def test_r13_one_image_that_fails_stops_nothing_and_is_told(world: Mirrored) -> None:
    broken = image("app 1").layers[1].digest
    world.up.faults.append(faults.status(404, kind="blob", path=broken, times=None))
    end = world.sync()
    assert end.code == 1
    assert world.actions() == {"1.0": "new", "2.0": "new", "latest": "new"}  # those of web come last
    assert world.actions("app") == {"1.0": "failed", "2.0": "new", "latest": "new"}
    assert "1.0" not in world.there("app")
    assert "failed    " in end.err
    world.up.faults.clear()
    assert world.sync().code == 0
    assert world.actions("app") == {"1.0": "new", "2.0": "unchanged", "latest": "unchanged"}


def test_wrong_bytes_end_with_their_own_code(world: Mirrored) -> None:
    world.up.faults.append(faults.flip(image("app 1").layers[1].digest, at=30, times=None))
    assert world.sync().code == 3
    assert world.actions("app")["1.0"] == "failed"
    assert "1.0" not in world.there("app")


@pytest.mark.parametrize(
    "fault",
    [
        faults.status(404, kind="tags", repository="app", times=None),
        faults.status(500, kind="tags", repository="app", times=None),
        faults.status(429, kind="tags", repository="app", times=None, headers={"Retry-After": "3600"}),
    ],
    ids=["404", "500", "429"],
)
def test_r13_h3_a_list_that_is_refused_removes_nothing_and_stops_no_other(world: Mirrored, fault: Fault) -> None:
    world.write("app", "web", prune={"enabled": True, "max": "100%", "keep": 0})
    world.sync()
    world.up.tag("web:new", image("web 1").digest)
    world.up.faults.append(fault)
    end = world.sync("--max-wait", "1s")
    assert end.code == 1
    assert sorted(world.there("app")) == ["1.0", "2.0", "latest"]
    assert len(world.there("web")) >= 3
    source, error = world.report()["problems"][0]
    assert source.endswith("/app")
    assert error["error"] in ("NotFound", "Unavailable", "RateLimited")
    if error["error"] != "RateLimited":  # which is of the host, and so of its other repositories as well
        assert sorted(world.there("web")) == ["1.0", "2.0", "latest", "new"]


def test_h3_an_empty_list_removes_nothing_and_is_warned_of(world: Mirrored) -> None:
    world.write("app", "web", prune={"enabled": True, "max": "100%", "keep": 0})
    world.sync()
    world.up.faults.append(faults.empty_list(repository="app", times=None))
    world.sync()
    assert sorted(world.there("app")) == ["1.0", "2.0", "latest"]
    assert any("app has no tags" in text for text in world.report()["warnings"])


def test_h3_half_a_list_removes_no_more_than_the_guard_lets_go(world: Mirrored) -> None:
    for number in range(10):
        world.up.tag(f"app:t{number}", image("app 1").digest)
    world.write("app", "web", prune={"enabled": True, "keep": 0})
    world.sync()
    world.up.faults.append(faults.half_list(repository="app", times=None))
    world.sync()
    assert len(world.there("app")) == 13
    assert "kept" in world.actions("app").values()


def test_what_is_not_selected_any_more_goes_where_that_is_asked_for(world: Mirrored) -> None:
    world.sync()
    world.up.storage.untag("app", "1.0")
    world.sync()
    assert "1.0" in world.there("app")
    world.write("app", "web", prune={"enabled": True, "max": 1})
    end = world.sync()
    assert end.code == 0
    assert sorted(world.there("app")) == ["2.0", "latest"]
    assert world.report()["items"][2]["action"] == "pruned"
    assert "1 pruned" in end.err


def test_the_report_is_whole_and_kept(world: Mirrored, tmp_path: Path) -> None:
    world.sync()
    report = world.report()
    assert (report["well"], report["counts"], report["schema"]) == (True, {"new": 6}, 1)
    assert report["requests"][world.up.host]["HEAD"] == 6
    assert report["totals"]["fetched"] > 0
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []


def test_a_plan_tells_all_and_changes_nothing_and_can_be_applied(world: Mirrored, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    end = world.puller("plan", str(world.file), "-o", plan)
    assert end.code == 0, end.err
    assert end.out.count("not there: all are wanted") == 6
    assert "6 new" in end.out
    assert world.there("app") == {}
    world.up.add("app:latest", image("app 3"))  # after the plan
    end = world.puller("apply", plan)
    assert end.code == 0, end.err
    assert world.there("app")["latest"] == index("app 2").digest
    assert world.puller("apply", plan).code == 0


def test_a_dry_run_is_a_plan(world: Mirrored) -> None:
    end = world.puller("sync", str(world.file), "--dry-run")
    assert (end.code, world.there("app")) == (0, {})
    assert "6 new" in end.out


def test_without_a_place_said_the_state_is_the_files_own(world: Mirrored, home: Path) -> None:
    world.sync()
    (folder,) = (home / ".local" / "state" / "puller" / "mirrors").iterdir()
    assert folder.name.startswith("mirrors-")
    assert len(folder.name) == len("mirrors-") + 8


def test_a_state_that_is_lost_costs_heads_and_no_pulls(world: Mirrored, tmp_path: Path) -> None:
    world.sync()
    world.sync("--state", str(tmp_path / "other"))
    assert set(world.actions().values()) == {"unchanged"}
    assert world.asked("GET", "manifest") == 0


def test_only_what_changed_is_a_line_and_quiet_says_nothing_else(world: Mirrored) -> None:
    end = world.sync("-q")
    assert end.err == ""
    assert len(end.out.splitlines()) == 6
    assert world.sync("-q").out == ""


def test_events_come_as_json(world: Mirrored) -> None:
    end = world.sync("--json")
    events = [json.loads(line) for line in end.out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds.count("settled") == 6
    assert kinds.count("mirrored") == 2
    assert kinds[-1] == "synced"


def test_a_platform_that_is_chosen_comes_alone_and_is_found_unchanged(world: Mirrored) -> None:
    world.write("app", platforms=["linux/s390x"], index="single", tags=["2.0"])
    world.sync()
    single = index("app 2").manifests[1].digest
    assert world.there("app") == {"2.0": single}
    world.sync()
    assert world.actions() == {"2.0": "unchanged"}
    assert world.asked("GET", "manifest") == 0


def test_a_wrong_file_is_told_with_its_line(world: Mirrored) -> None:
    world.file.write_text("puller: 1\nmirrors:\n  - from: a.example/b\n", "utf-8")
    end = world.sync()
    assert end.code == 2
    assert "mirrors.yml" in end.err
