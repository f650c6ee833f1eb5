"""Statefile: the database of a state, opened, founded, and set aside where it is damaged (THREATS H6, H7).

SQLite in WAL mode: one process writes, others read meanwhile. A commit is not synced: after a power cut the last ones
may be missing, which costs requests and nothing else.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from puller.errors import InvalidConfig, NoSpace, PullerError, StoreBusy, StoreUnusable
from puller.model.diskerror import SPACE, disk_error

NAME: Final = "state.db"
VERSION: Final = 2
_MARK: Final = 0x70756C6C  # the application_id of its header
_BUSY: Final = 5.0  # seconds that a writer waits for a reader at most, where the file system has no WAL
_MOST_ASIDE: Final = 1000
# No table has an index beside it: one that does not fit its table is not found by a quick check.
_SCHEMA: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE known (target TEXT, name TEXT, value TEXT NOT NULL, sum INTEGER NOT NULL,"
    " PRIMARY KEY (target, name)) WITHOUT ROWID",
    "CREATE TABLE created (digest TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE lent (registry TEXT, digest BLOB, repository TEXT NOT NULL, PRIMARY KEY (registry, digest))"
    " WITHOUT ROWID",
    "CREATE TABLE runs (run TEXT PRIMARY KEY, config TEXT NOT NULL, started REAL NOT NULL, ended REAL, well INTEGER,"
    " counts TEXT) WITHOUT ROWID",
    "CREATE TABLE reports (number INTEGER PRIMARY KEY, run TEXT NOT NULL, report BLOB NOT NULL)",
    "CREATE TABLE unwanted (target TEXT, name TEXT, since REAL NOT NULL, PRIMARY KEY (target, name)) WITHOUT ROWID",
    "CREATE TABLE held (target TEXT, name TEXT, digest TEXT NOT NULL, PRIMARY KEY (target, name)) WITHOUT ROWID",
    "CREATE TABLE last (key TEXT PRIMARY KEY, started REAL NOT NULL, ended REAL NOT NULL, well INTEGER NOT NULL)"
    " WITHOUT ROWID",
    "CREATE TABLE looked (target TEXT, selection TEXT, at REAL NOT NULL, PRIMARY KEY (target, selection))"
    " WITHOUT ROWID",
)
# What makes of each earlier version the next one.
_STEPS: Final = {1: _SCHEMA[-1:]}


class Damaged(Exception):
    """It is no database, or not one that we have made."""


@contextmanager
def translated(where: Path) -> Iterator[None]:
    """Raise what SQLite and the disk say as a StoreError."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise _state_error(error, where) from error
    except OSError as error:
        raise disk_error(error, where=error.filename or where) from error


def open_writing(folder: Path) -> tuple[sqlite3.Connection, list[str]]:
    """The database in `folder`, made if missing, and warnings; one that is damaged is set aside.

    Raises InvalidConfig where it was made by a newer version of this program, StoreError.
    """
    with translated(folder):
        own_folder(folder)
        path = folder / NAME
        try:
            return _opened(path), []
        except (Damaged, sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not is_damage(error):
                raise
            warning = _set_aside(path)
        return _opened(path), [warning]


def open_reading(folder: Path) -> tuple[sqlite3.Connection, list[str]]:
    """As `open_writing`, while another process may write: nothing is changed; an empty one where there is none."""
    with translated(folder):
        path = folder / NAME
        if not path.exists():
            return _founded(sqlite3.connect(":memory:", isolation_level=None)), []
        connection = _connected(path)
        try:
            connection.execute("PRAGMA query_only = ON")
            with _as_one(connection):
                is_empty = _is_empty(connection)
                if not is_empty:
                    _check(connection, path)
            if is_empty:  # another process is about to begin it
                connection.close()
                return _founded(sqlite3.connect(":memory:", isolation_level=None)), []
            if _version(connection) != VERSION:
                connection = _copied(connection)
        except (Damaged, sqlite3.DatabaseError, UnicodeDecodeError) as error:
            connection.close()
            if not is_damage(error):
                raise
            warning = f"the state {path} is damaged; the next run sets it aside and begins anew"
            return _founded(sqlite3.connect(":memory:", isolation_level=None)), [warning]
        except BaseException:
            connection.close()
            raise
        return connection, []


def is_damage(error: Exception) -> bool:
    """Whether this is what a damaged file gives, and neither a full disk nor another process."""
    if not isinstance(error, sqlite3.Error):
        # What SQLite says of a damaged schema may quote it, which Python cannot always read.
        return isinstance(error, Damaged | UnicodeDecodeError)
    # Of an extended code the low byte is the kind; a schema that has been tampered with gives SQLITE_ERROR.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR)


def own_folder(folder: Path) -> None:
    """Make the folder for this user alone; one that all may write to would let others choose what is pruned."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & stat.S_IWOTH:
        raise StoreUnusable("anybody may write to the folder of the state", where=folder, hint=f"chmod o-w {folder}")


def _opened(path: Path) -> sqlite3.Connection:
    # Made by us first: SQLite would make it for all to read, and gives its other files the mode of this one.
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        # With other numbers than these SQLite opens it, and lets nothing be written (fileformat2, 1.3.3).
        if os.pread(fd, 2, 18) not in (b"", b"\1\1", b"\2\2"):
            raise Damaged
    finally:
        os.close(fd)
    connection = _connected(path)
    try:
        if _is_empty(connection):
            _founded(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with _as_one(connection):
            _check(connection, path)
        if _version(connection) != VERSION:
            _bring_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")  # and then it is not what was written
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _founded(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("BEGIN IMMEDIATE")
    if _is_empty(connection):  # still: another process may have been first
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('version', ?)", (VERSION,))
        connection.execute(f"PRAGMA application_id = {_MARK}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
    return connection


@contextmanager
def _as_one(connection: sqlite3.Connection) -> Iterator[None]:
    """Have all that is read be of one moment: another process may bring it up meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,) and not _version(connection)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises Damaged, or InvalidConfig for a version that comes after ours."""
    version = _version(connection)
    # The number stands there twice, lest one flipped bit looks like a newer version and stops all runs.
    stored = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    if version > VERSION and stored == (version,):
        raise InvalidConfig(
            "the state was made by a newer version of puller",
            where=path,
            wanted=f"version {VERSION} of it, or an older one",
            got=version,
            hint="Run that version, or give another folder by --state.",
        )
    mark = connection.execute("PRAGMA application_id").fetchone()
    if mark != (_MARK,) or version not in (*_STEPS, VERSION) or stored != (version,):
        raise Damaged
    schema = {row[0] for row in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
    later = {statement for step in range(version, VERSION) for statement in _STEPS[step]}
    if schema != set(_SCHEMA) - later or connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise Damaged


def _bring_up(connection: sqlite3.Connection) -> None:
    """Make the present version of an earlier one, wholly or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    for step in range(_version(connection), VERSION):
        for statement in _STEPS[step]:
            connection.execute(statement)
    connection.execute("UPDATE meta SET value = ? WHERE key = 'version'", (VERSION,))
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _copied(connection: sqlite3.Connection) -> sqlite3.Connection:
    """An earlier version as the present one, in memory; `connection` is closed."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.text_factory = connection.text_factory
    with closing(connection):
        connection.backup(copy)
    _bring_up(copy)
    return copy


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _set_aside(path: Path) -> str:
    """Rename the database and what belongs to it; what has become of it, in a sentence."""
    number = next((n for n in range(1, _MOST_ASIDE) if not path.with_name(f"{NAME}.damaged-{n}").exists()), None)
    if number is None:
        raise StoreUnusable("too many damaged states are kept", where=path.parent, hint="Remove some of them.")
    aside = path.with_name(f"{NAME}.damaged-{number}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(NAME + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return (
        f"the state was damaged and is kept as {aside}; a new one is begun: this run asks more than it would have to,"
        " prunes nothing that runs before it have brought, and reports of those are gone"
    )


def _state_error(error: Exception, where: Path) -> PullerError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    said = str(error)
    if code == sqlite3.SQLITE_FULL:
        return NoSpace("no space left on the disk for the state", where=where, hint=SPACE)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy("another process holds the state", where=where)
    if is_damage(error):
        hint = "The next run sets it aside and begins anew."
        return StoreUnusable("the state is damaged", where=where, got=said, hint=hint)
    return StoreUnusable("the state cannot be used", where=where, got=said)
