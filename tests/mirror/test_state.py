"""What is remembered comes back as it was, or not at all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from puller.mirror.known import Last, RunRow, manner_text
from puller.mirror.state import REPORTS_KEPT, State
from puller.model.digest import Digest
from puller.model.sync import Manner
from tests.mirror.remembered import KNOWN, ONE, OTHER, REPORT


def test_a_tag_is_known_as_it_was_remembered(state: State, folder: Path) -> None:
    state.remember(replace(KNOWN, digest=OTHER))
    state.remember(KNOWN)
    unsized = replace(KNOWN, name="sid", size=None)
    state.remember(unsized)
    state.close()
    with State.open(folder) as again:
        assert again.known(KNOWN.target, "12") == KNOWN
        assert again.known_at(KNOWN.target) == [KNOWN, unsized]
        assert again.known(KNOWN.target, "11") is None
        assert again.known_at("mirror.local/debia") == []


def test_what_is_forgotten_is_not_known(state: State) -> None:
    state.remember(KNOWN)
    state.unwanted_since(KNOWN.target, KNOWN.name, 5.0)
    state.forget(KNOWN.target, KNOWN.name)
    assert state.known(KNOWN.target, KNOWN.name) is None
    assert state.unwanted_at(KNOWN.target, KNOWN.name) is None


def test_the_manner_of_an_image_has_one_text() -> None:
    assert manner_text(Manner()) == manner_text(Manner())
    assert manner_text(Manner()) != manner_text(Manner(referrers=True))


def test_dates_of_creation_come_back_whatever_their_zone(state: State) -> None:
    moment = datetime(2026, 3, 1, 12, 30, 5, 123456, tzinfo=timezone(timedelta(hours=-7)))
    state.note_created(Digest.parse(ONE), moment)
    assert state.created(ONE) == moment
    assert state.created(OTHER) is None
    first = datetime(1, 1, 1, tzinfo=UTC)
    state.note_created(OTHER, first)
    assert state.created(OTHER) == first


def test_the_time_of_grace_begins_when_a_tag_is_first_not_wanted(state: State) -> None:
    assert state.unwanted_at("t", "a") is None
    assert state.unwanted_since("t", "a", 100.0) == 100.0
    assert state.unwanted_since("t", "a", 200.0) == 100.0
    state.wanted("t", "a")
    assert state.unwanted_since("t", "a", 300.0) == 300.0


def test_r13_a_time_of_grace_that_began_in_the_future_begins_now(state: State) -> None:
    state.unwanted_since("t", "a", 1000.0)
    assert state.unwanted_since("t", "a", 100.0) == 100.0
    assert state.unwanted_since("t", "a", 200.0) == 100.0


def test_what_is_held_is_held_until_it_is_released(state: State) -> None:
    state.hold("t", "a", ONE)
    assert state.held("t", "a") == ONE
    state.release("t", "a")
    assert state.held("t", "a") is None


def test_a_run_is_listed_from_its_beginning_and_keeps_its_report(state: State) -> None:
    state.begin("r0", "mirrors.yml", 1780000000.0)
    state.begin("r1", "mirrors.yml", 1790000000.0)
    assert state.runs(1) == [RunRow("r1", "mirrors.yml", 1790000000.0)]
    state.end(REPORT)
    ended = RunRow("r1", "mirrors.yml", 1790000000.0, 1790000060.0, True, {"new": 1})
    assert state.runs(9) == [ended, RunRow("r0", "mirrors.yml", 1780000000.0)]
    report = state.report("r1")
    assert report is not None
    assert report["items"][0]["carried"]["fetched"] == 5
    assert state.report("r0") is None


def test_only_the_last_reports_are_kept(state: State) -> None:
    for number in range(REPORTS_KEPT + 5):
        state.begin(f"r{number}", "m", float(number))
        state.end(replace(REPORT, run=f"r{number}", started=float(number)))
    kept = [run.run for run in state.runs(100) if state.report(run.run) is not None]
    assert len(state.runs(100)) == REPORTS_KEPT + 5
    assert kept == [f"r{number}" for number in range(REPORTS_KEPT + 4, 4, -1)]


def test_the_report_of_the_last_run_of_a_schedule_is_kept_however_often_others_ran(state: State) -> None:
    for number in range(REPORTS_KEPT + 5):
        state.begin(f"r{number}", "m", float(number))
        state.end(replace(REPORT, run=f"r{number}", started=float(number)))
        if number == 0:
            state.note_last("yearly", 0.0, 1.0, True)
    assert state.report("r0") is not None
    assert state.report("r1") is None


def test_schedules_know_when_they_last_ran(state: State) -> None:
    assert state.last("debian") is None
    state.note_last("debian", 1.0, 2.0, False)
    state.note_last("debian", 3.0, 4.5, True)
    assert state.last("debian") == Last(3.0, 4.5, True)


def test_when_a_place_was_looked_at_is_remembered_for_each_source(state: State) -> None:
    assert state.looked("t", "s") is None
    state.note_looked("t", "s", 1.0)
    state.note_looked("t", "other", 2.0)
    state.note_looked("t", "s", 3.0)
    assert (state.looked("t", "s"), state.looked("t", "other"), state.looked("s", "t")) == (3.0, 2.0, None)
