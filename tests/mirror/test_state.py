"""What is remembered comes back as it was, or not at all."""

import json
import os
import shutil
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from puller.errors import InvalidConfig, PullerError, StoreUnusable
from puller.mirror import graveyard, statefile
from puller.mirror.known import UNDO_WINDOW, Known, Last, RunRow, Tombstone, Undoable, manner_text
from puller.mirror.state import REPORTS_KEPT, State
from puller.model.digest import Digest
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.model.sync import Carried, Item, Manner, SyncReport

RAW = b'{"schemaVersion": 2}'
ONE, OTHER = str(Digest.of(RAW)), str(Digest.of(b"other"))
KNOWN = Known(
    target="mirror.local/debian",
    name="12",
    source="docker.io/library/debian",
    tag="bookworm",
    digest=ONE,
    media_type="application/vnd.oci.image.index.v1+json",
    size=8655,
    root=OTHER,
    manner=manner_text(Manner(("linux/amd64",), "single")),
    at=1790000000.25,
)
GRAVE = Tombstone(
    "r1", "mirror.local/debian", "11", ONE, "application/json", RAW, 1790000000.0, "pruned", "docker.io/d"
)
ITEM = Item("docker.io/d", "11", "mirror.local/debian", "11", "new", "not there", ONE, carried=Carried(ONE, fetched=5))
REPORT = SyncReport("r1", "mirrors.yml", 1790000000.0, 1790000060.0, (ITEM,), requests={"docker.io": {"HEAD": 1}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def state(folder: Path) -> Iterator[State]:
    with State.open(folder) as opened:
        assert opened.warnings == ()
        yield opened


def fill(folder: Path) -> None:
    with State.open(folder) as state:
        state.begin("r1", "mirrors.yml", 1790000000.0)
        state.remember(KNOWN)
        state.remember(replace(KNOWN, name="13", size=None))
        state.note_created(ONE, datetime(2026, 9, 1, tzinfo=UTC))
        state.unwanted_since("mirror.local/debian", "11", 1790000000.0)
        state.hold("mirror.local/debian", "12", ONE)
        state.note_last("debian", 1790000000.0, 1790000060.0, True)
        state.bury(GRAVE)
        state.end(REPORT)


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


def test_what_is_buried_is_there_until_it_is_exhumed(state: State, folder: Path) -> None:
    moved = replace(GRAVE, kind="overwritten", at=GRAVE.at + 5)
    state.bury(GRAVE)
    state.bury(moved)
    state.bury(replace(GRAVE, run="r2", at=GRAVE.at + 60))
    assert state.tombstones("r1") == [GRAVE, moved]
    assert state.undoable() == [Undoable("r2", GRAVE.at + 60, 1, 0), Undoable("r1", GRAVE.at, 1, 1)]
    state.exhume(GRAVE)
    state.exhume(GRAVE)
    assert state.tombstones("r1") == [moved]
    with State.read(folder) as again:
        assert again.tombstones("r1") == [moved]
        assert [one.run for one in again.buried_at(GRAVE.target)] == ["r1", "r2"]
        assert again.buried_at("elsewhere") == []


def test_of_one_tag_and_run_the_first_tombstone_stays(state: State) -> None:
    state.bury(GRAVE)
    state.bury(replace(GRAVE, root=OTHER, raw=b"other"))
    assert state.tombstones("r1") == [GRAVE]


def test_a_manifest_whose_digest_is_that_of_its_payload_can_be_buried(state: State, folder: Path) -> None:
    signed = replace(GRAVE, media_type=sorted(SCHEMA1_MANIFESTS)[0], root=OTHER)
    state.bury(signed)
    with State.open(folder) as again:
        assert (again.tombstones("r1"), again.warnings) == ([signed], ())


def test_tombstones_that_undo_does_not_reach_back_to_are_dropped(state: State, folder: Path) -> None:
    state.bury(GRAVE)
    late = replace(GRAVE, run="r2", at=GRAVE.at + 60)
    state.bury(late)
    state.begin("r3", "m", GRAVE.at + UNDO_WINDOW)
    assert state.tombstones("r1") == []
    assert state.tombstones("r2") == [late]
    state.bury(replace(GRAVE, run="r3"))
    assert (folder / graveyard.NAME).read_bytes().count(b"\n") == 2
    with State.open(folder) as again:
        assert [one.run for one in again.undoable()] == ["r2", "r3"]


def test_r1_a_line_that_a_crash_has_cut_off_takes_no_other_with_it(folder: Path) -> None:
    with State.open(folder) as state:
        state.bury(GRAVE)
        state.bury(replace(GRAVE, name="10"))
    path = folder / graveyard.NAME
    path.write_bytes(path.read_bytes()[:-20])
    with State.open(folder) as state:
        assert state.warnings == ()
        state.bury(replace(GRAVE, name="9"))
    with State.open(folder) as state:
        assert [one.name for one in state.tombstones("r1")] == ["11", "9"]


def test_another_process_may_read_while_one_writes(state: State, folder: Path) -> None:
    state.begin("r1", "m", 1.0)
    with State.read(folder) as reader:
        state.remember(KNOWN)
        assert reader.known(KNOWN.target, KNOWN.name) == KNOWN
        assert reader.runs(5) == [RunRow("r1", "m", 1.0)]
        with pytest.raises(PullerError):
            reader.remember(KNOWN)


def test_reading_where_there_is_no_state_makes_none(folder: Path) -> None:
    with State.read(folder) as state:
        assert (state.runs(5), state.known("t", "n"), state.undoable()) == ([], None, [])
    assert not folder.exists()


def test_h7_state_is_for_its_user_alone(folder: Path) -> None:
    mask = os.umask(0)
    try:
        with State.open(folder) as state:
            state.remember(KNOWN)
            state.bury(GRAVE)
            modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    finally:
        os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert set(modes) == {"state.db", "state.db-wal", "state.db-shm", "tombstones.jsonl"}
    assert set(modes.values()) == {0o600}


def test_h7_a_folder_that_anybody_may_write_to_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(StoreUnusable, match="anybody may write"):
        State.open(folder)


def test_h1_a_link_that_somebody_has_put_in_its_place_is_not_followed(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(mode=0o700)
    for name in (statefile.NAME, graveyard.NAME):
        (folder / name).symlink_to(tmp_path / "victim")
        with pytest.raises(StoreUnusable):
            State.open(folder).bury(GRAVE)
        (folder / name).unlink()
    assert not (tmp_path / "victim").exists()


def test_a_state_of_a_newer_version_is_left_alone_and_said_so(folder: Path) -> None:
    fill(folder)
    with closing(sqlite3.connect(folder / statefile.NAME)) as database:
        database.execute(f"UPDATE meta SET value = {statefile.VERSION + 1}")
        database.commit()
        database.execute(f"PRAGMA user_version = {statefile.VERSION + 1}")
    before = (folder / statefile.NAME).read_bytes()
    for opened in (State.open, State.read):
        with pytest.raises(InvalidConfig, match="newer version") as caught:
            opened(folder)
        assert caught.value.where == str(folder / statefile.NAME) or caught.value.where == folder / statefile.NAME
    assert (folder / statefile.NAME).read_bytes() == before


def back_to_the_first(folder: Path) -> None:
    """Make the database what the first version of this program made."""
    with closing(sqlite3.connect(folder / statefile.NAME)) as database:
        database.execute("DROP TABLE looked")
        database.execute("UPDATE meta SET value = 1")
        database.commit()
        database.execute("PRAGMA user_version = 1")


def test_a_state_of_an_older_version_is_brought_up_and_loses_nothing(folder: Path) -> None:
    fill(folder)
    back_to_the_first(folder)
    before = (folder / statefile.NAME).read_bytes()
    with State.read(folder) as state:
        assert state.warnings == ()
        assert state.known(KNOWN.target, KNOWN.name) == KNOWN
        assert state.looked("t", "s") is None
    assert (folder / statefile.NAME).read_bytes() == before  # who reads changes nothing
    with State.open(folder) as state:
        assert state.warnings == ()
        assert state.known(KNOWN.target, KNOWN.name) == KNOWN
        state.note_looked("t", "s", 7.5)
    with State.open(folder) as state:
        assert state.warnings == ()
        assert state.looked("t", "s") == 7.5


def test_h6_an_older_version_that_is_not_what_it_says_is_set_aside(folder: Path) -> None:
    fill(folder)
    back_to_the_first(folder)
    with closing(sqlite3.connect(folder / statefile.NAME)) as database:
        database.execute("DROP TABLE held")
    with State.open(folder) as state:
        assert "damaged" in state.warnings[0]


def test_when_a_place_was_looked_at_is_remembered_for_each_source(state: State) -> None:
    assert state.looked("t", "s") is None
    state.note_looked("t", "s", 1.0)
    state.note_looked("t", "other", 2.0)
    state.note_looked("t", "s", 3.0)
    assert (state.looked("t", "s"), state.looked("t", "other"), state.looked("s", "t")) == (3.0, 2.0, None)


def test_h6_a_damaged_state_is_set_aside_and_tombstones_outlive_it(folder: Path) -> None:
    fill(folder)
    for number in (1, 2):
        (folder / statefile.NAME).write_bytes(b"no database, and never has been one" * 200)
        with State.read(folder) as state:
            assert "damaged" in state.warnings[0]
        with State.open(folder) as state:
            assert f"state.db.damaged-{number}" in state.warnings[0]
            assert state.known(KNOWN.target, KNOWN.name) is None
            assert state.tombstones("r1") == [GRAVE]
        with State.open(folder) as state:
            assert state.warnings == ()


def test_h6_a_database_of_somebody_else_is_set_aside(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with closing(sqlite3.connect(folder / statefile.NAME)) as database:
        database.execute("CREATE TABLE known (x)")
    with State.open(folder) as state:
        assert len(state.warnings) == 1
        state.remember(KNOWN)


def test_h6_a_row_that_was_changed_is_not_there(state: State, folder: Path) -> None:
    state.remember(KNOWN)
    state.end(REPORT)
    state.close()
    with closing(sqlite3.connect(folder / statefile.NAME)) as database:
        database.execute("UPDATE known SET value = replace(value, 'bookworm', 'bookwork')")
        database.execute("INSERT INTO known SELECT target, 'x', value, sum FROM known")
        database.execute("INSERT INTO created VALUES ('d', 'yesterday')")
        database.execute("INSERT INTO last VALUES ('k', 'a', 1, 1)")
        database.execute("UPDATE reports SET report = x'00'")
        database.commit()
    with State.open(folder) as again:
        assert again.warnings == ()
        assert again.known_at(KNOWN.target) == []
        assert (again.created("d"), again.last("k"), again.report("r1")) == (None, None, None)


def probe(state: State) -> None:
    """Ask all that can be asked; what comes is what was kept, or nothing."""
    known = state.known_at(KNOWN.target)
    assert all(one in (KNOWN, replace(KNOWN, name="13", size=None)) for one in known)
    state.created(ONE)
    state.unwanted_at("mirror.local/debian", "11")
    state.held("mirror.local/debian", "12")
    state.last("debian")
    state.runs(10)
    state.report("r1")
    assert state.tombstones("r1") in ([GRAVE], [])
    state.remember(KNOWN)
    assert state.known(KNOWN.target, KNOWN.name) == KNOWN


@pytest.mark.slow
def test_h6_any_byte_of_the_database_may_be_wrong(folder: Path, tmp_path: Path) -> None:
    fill(folder)
    raw = (folder / statefile.NAME).read_bytes()
    graves = (folder / graveyard.NAME).read_bytes()
    # Headers of file and pages whole; of all else a fifth, and of what is zero a little.
    places = [n for n, byte in enumerate(raw) if n < 100 or n % 4096 < 32 or n % (5 if byte else 397) == 0]
    aside = 0
    for place in places:
        mask = (0xFF, 0x80, 0x01)[place % 3]
        work = tmp_path / "work"
        work.mkdir(mode=0o700)
        (work / statefile.NAME).write_bytes(raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :])
        (work / graveyard.NAME).write_bytes(graves)
        with State.open(work) as state:
            aside += bool(state.warnings)
            assert state.tombstones("r1") == [GRAVE]
            probe(state)
        shutil.rmtree(work)
    assert aside


def test_h6_any_byte_of_the_tombstones_may_be_wrong(folder: Path) -> None:
    with State.open(folder) as state:
        state.bury(GRAVE)
        state.bury(replace(GRAVE, name="10"))
    path = folder / graveyard.NAME
    raw = path.read_bytes()
    for place in range(len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 0x01]) + raw[place + 1 :])
        with State.open(folder) as state:
            standing = state.tombstones("r1")
            assert all(one in (GRAVE, replace(GRAVE, name="10")) for one in standing)
            assert len(standing) == 1 or place in (raw.index(b"\n"), len(raw) - 1)


def test_h6_tombstones_that_cannot_be_read_are_said_aloud(folder: Path) -> None:
    with State.open(folder) as state:
        state.bury(GRAVE)
        state.bury(replace(GRAVE, name="10"))
    path = folder / graveyard.NAME
    path.write_bytes(path.read_bytes().replace(b'"name":"11"', b'"name":"12"'))
    with State.open(folder) as state:
        assert state.warnings == (
            f"1 of the tombstones in {folder} cannot be read: what they kept cannot be brought back",
        )


@pytest.mark.parametrize("exhumed", [5, None, {}, "x", [1, 2], [["r"], "t", "n", "pruned"]])
def test_h6_a_line_of_tombstones_that_says_nonsense_is_passed_over(folder: Path, exhumed: object) -> None:
    with State.open(folder) as state:
        state.bury(GRAVE)
    text = json.dumps({"exhumed": exhumed}).encode()
    with (folder / graveyard.NAME).open("ab") as file:
        file.write(b"%08x %s\n" % (zlib.crc32(text), text))
    with State.open(folder) as state:
        assert state.tombstones(GRAVE.run) == [GRAVE]
        assert "1 of the tombstones" in state.warnings[0]
