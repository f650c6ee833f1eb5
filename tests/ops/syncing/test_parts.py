"""What of a report is about which mirror, and what is counted of it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from puller.mirror.config import Mirror, Place
from puller.mirror.known import Last
from puller.mirror.state import State
from puller.model.event import Waiting
from puller.model.sync import Action, Carried, Item, SyncReport
from puller.ops.syncing.health import OVERDUE, STILL, STUCK, ailments
from puller.ops.syncing.parts import note_runs, parts_of
from puller.ops.syncing.tallies import Tallies
from puller.ops.syncing.turns import keyed
from tests.ops.syncing.watchful import HOUR, NOON, key, mirror

ERROR = {"error": "NotFound", "what": "no such tag"}


def item(
    name: str, tag: str, *, to: str = "", error: Mapping[str, object] | None = None, line: int = 0, sent: int = 0
) -> Item:
    target = to or f"down.example/{name}"
    carried = Carried("sha256:", fetched=2 * sent, near=sent + 1, sent=sent) if sent else None
    action: Action = "failed" if error else "new" if sent else "unchanged"
    return Item(f"up.example/{name}", tag, target, tag, action, "", carried=carried, error=error, line=line)


def report(*items: Item, **rest: object) -> SyncReport:
    return SyncReport("run", "sync.yml", NOON, NOON + 60, items=items, **rest)  # type: ignore[arg-type]  # any fields


def test_a_failure_is_of_its_own_mirror_alone() -> None:
    parts = parts_of(report(item("a", "1", error=ERROR), item("b", "1")), keyed([mirror("a"), mirror("b")]))
    assert parts[key("a")].failures == (("up.example/a:1", ERROR),)
    assert parts[key("b")].is_well
    assert [one.tag for one in parts[key("b")].items] == ["1"]


def test_a_digest_that_failed_stands_behind_an_at_sign() -> None:
    digest = "sha256:" + "a" * 64
    (part,) = parts_of(report(item("a", digest, error=ERROR)), keyed([mirror("a")])).values()
    assert part.failures == ((f"up.example/a@{digest}", ERROR),)


def test_repositories_of_a_pattern_are_of_the_mirror_with_the_pattern() -> None:
    every = keyed([Mirror(Place("registry", "up.example/*"), Place("oci", "/srv"))])
    found = parts_of(report(item("team/a", "1", to="oci:/srv/team/a"), problems=(("up.example/team/b", ERROR),)), every)
    (part,) = found.values()
    assert len(part.items) == 1
    assert part.failures == (("up.example/team/b", ERROR),)


def test_a_directory_is_the_same_whether_its_file_says_it_from_here_or_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    every = keyed([Mirror(Place("registry", "up.example/a"), Place("oci", "mirror/a"))])
    (part,) = parts_of(report(item("a", "1", to=f"oci:{tmp_path}/mirror/a", sent=1)), every).values()
    assert [one.tag for one in part.items] == ["1"]


def test_two_mirrors_of_one_source_and_target_are_told_apart_by_their_lines() -> None:
    every = keyed([mirror("a", line=3), mirror("a", line=9)])
    parts = parts_of(report(item("a", "1", line=3), item("a", "2", line=9, error=ERROR)), every)
    assert [part.is_well for part in parts.values()] == [True, False]


def test_what_cannot_be_told_to_be_of_one_mirror_is_of_all() -> None:
    every = keyed([mirror("a"), mirror("b")])
    for whole in (report(error=ERROR), report(problems=(("elsewhere.example/x", ERROR),))):
        assert [part.is_well for part in parts_of(whole, every).values()] == [False, False]


def test_a_run_is_counted_by_mirror() -> None:
    tallies, every = Tallies(NOON), keyed([mirror("a"), mirror("b")])
    for _ in range(2):
        run = report(item("a", "1", sent=10), item("a", "2"), item("b", "1", error=ERROR), requests={"r": {"HEAD": 3}})
        tallies.count(run, every)
    one, other = tallies.of(key("a")), tallies.of(key("b"))
    assert (one.well, one.failed, one.images) == (2, 0, {"new": 2, "unchanged": 2})
    assert (one.fetched, one.near, one.sent) == (40, 22, 20)
    assert (other.well, other.failed, other.failing, other.failures, other.succeeded) == (0, 2, 1, 2, None)
    assert (tallies.runs, tallies.seconds, tallies.requests) == (2, 120, {"r": {"HEAD": 6}})


def test_runs_are_noted_by_mirror_those_that_ran_alone(tmp_path: Path) -> None:
    every = [mirror("a"), mirror("b"), mirror("c")]
    with State.open(tmp_path / "state") as state:
        note_runs(state, every, report(item("a", "1"), item("b", "1", error=ERROR)), every[:2])
        lasts = [state.last(key(name)) for name in "abc"]
    assert lasts == [Last(NOON, NOON + 60, True), Last(NOON, NOON + 60, False), None]


def test_a_daemon_that_waits_for_the_next_run_is_well() -> None:
    tallies = Tallies(NOON, beat=NOON)
    tallies.planned({"a": NOON + HOUR})
    assert ailments(tallies, NOON + 30) == []


def test_a_loop_that_stands_still_is_told() -> None:
    tallies = Tallies(NOON, beat=NOON)
    assert [one["what"] for one in ailments(tallies, NOON + STILL + 1)] == ["the loop stands still"]


def test_mirrors_that_are_overdue_with_nothing_running_are_told() -> None:
    tallies = Tallies(NOON)
    tallies.planned({"a": NOON, "b": NOON + HOUR})
    tallies.beat = NOON + OVERDUE + 1
    assert ailments(tallies, NOON + OVERDUE + 1) == [{"what": "mirrors are overdue", "mirrors": ["a"]}]


def test_a_long_run_is_well_as_long_as_something_happens() -> None:
    tallies = Tallies(NOON)
    tallies.begin(["a"], NOON)
    tallies.stir(Waiting("r", "a pause", 1, 0), NOON + 50 * HOUR)
    assert ailments(tallies, NOON + 50 * HOUR + STUCK) == []
    (stuck,) = ailments(tallies, NOON + 50 * HOUR + STUCK + 1)
    assert stuck["what"] == "a run is stuck"
    assert stuck["mirrors"] == ["a"]


def test_a_run_that_waits_for_a_quota_is_not_stuck() -> None:
    tallies = Tallies(NOON)
    tallies.begin(["a"], NOON)
    tallies.stir(Waiting("r", "a quota", 6 * HOUR, NOON + 6 * HOUR), NOON)
    assert ailments(tallies, NOON + 6 * HOUR) == []
    assert ailments(tallies, NOON + 6 * HOUR + STUCK + 1) != []
    tallies.finish()
    tallies.beat = NOON + 8 * HOUR
    assert ailments(tallies, NOON + 8 * HOUR) == []
