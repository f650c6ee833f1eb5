"""The file of a state: whose it is, of which version, and what becomes of a damaged one."""

import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from puller.errors import InvalidConfig, PullerError, StoreUnusable
from puller.mirror import graveyard, statefile
from puller.mirror.known import RunRow
from puller.mirror.state import State
from tests.mirror.remembered import GRAVE, KNOWN, ONE, REPORT, fill


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


def test_a_state_that_is_brought_up_is_not_damaged_to_who_reads_it_meanwhile(folder: Path) -> None:
    fill(folder)
    is_over = Event()

    def to_and_fro() -> None:
        looked = statefile._SCHEMA[-1]
        with closing(sqlite3.connect(folder / statefile.NAME, isolation_level=None, timeout=30)) as database:
            while not is_over.is_set():
                for version, change in ((1, "DROP TABLE looked"), (statefile.VERSION, looked)):
                    database.execute("BEGIN IMMEDIATE")
                    database.execute(change)
                    database.execute("UPDATE meta SET value = ?", (version,))
                    database.execute(f"PRAGMA user_version = {version}")
                    database.execute("COMMIT")

    with ThreadPoolExecutor() as threads:
        other = threads.submit(to_and_fro)
        try:
            for _ in range(100):
                with State.read(folder) as state:
                    assert state.warnings == ()
                    assert state.known(KNOWN.target, KNOWN.name) == KNOWN
        finally:
            is_over.set()
        other.result()


def test_a_state_that_another_process_is_about_to_begin_is_empty_to_who_reads_it(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / statefile.NAME).touch(0o600)
    with State.read(folder) as state:
        assert state.warnings == ()
        assert state.known(KNOWN.target, KNOWN.name) is None


def test_h6_an_older_version_that_is_not_what_it_says_is_set_aside(folder: Path) -> None:
    fill(folder)
    back_to_the_first(folder)
    with closing(sqlite3.connect(folder / statefile.NAME)) as database:
        database.execute("DROP TABLE held")
    with State.open(folder) as state:
        assert "damaged" in state.warnings[0]


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
