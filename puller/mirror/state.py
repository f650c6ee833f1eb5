"""State: what syncs remember between runs, in a folder of its own.

All of it but the tombstones is a cache: to lose it costs requests, and never content. A row that is not as it was
written is not there (THREATS H6). Calls block, for far less than a millisecond; those that bury wait for the disk.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from puller.errors import InputError
from puller.mirror.graveyard import Graveyard
from puller.mirror.known import Known, Last, RunRow, Tombstone, Undoable
from puller.mirror.statefile import open_reading, open_writing, translated
from puller.model.digest import Digest
from puller.model.document import load_document
from puller.model.reference import is_repository
from puller.model.sync import SyncReport

RUNS_KEPT: Final = 1000
MAX_LENT: Final = 2_000_000  # blobs whose repositories are known: about 150 MB
_LOOKED: Final = 1000  # of them are noted between two looks at how many there are
REPORTS_KEPT: Final = 20
# The last run of each schedule stays, however often others ran since: `status` tells how it went.
_DROP_RUNS: Final = (
    "DELETE FROM runs WHERE run NOT IN (SELECT run FROM runs ORDER BY started DESC LIMIT ?)"
    " AND started NOT IN (SELECT started FROM last)"
)
_DROP_REPORTS: Final = (
    "DELETE FROM reports WHERE number NOT IN (SELECT number FROM reports ORDER BY number DESC LIMIT ?)"
    " AND run NOT IN (SELECT run FROM runs WHERE started IN (SELECT started FROM last))"
)
_REPORT_LIMIT: Final = 1 << 30  # bytes of one report as it is read back


class State:
    """One state, open for one thread of one process; a context manager that closes it.

    `warnings` say what was wrong when it was opened.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, warnings: list[str]) -> None:
        self._folder = folder
        self._database = connection
        self._graveyard = Graveyard(folder)
        self._noted = 0
        self.warnings = tuple(warnings)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The state in `folder`, begun if there is none; a damaged one is set aside. For who holds `only_run`.

        Raises InvalidConfig where a newer version of this program has made it, StoreError.
        """
        state = cls(folder, *open_writing(folder))
        try:
            with translated(folder):
                state._graveyard.standing  # noqa: B018  # read now: what is damaged is said when it is opened
        except BaseException:
            state.close()
            raise
        if state._graveyard.damaged:
            found = f"{state._graveyard.damaged} of the tombstones in {folder} cannot be read"
            state.warnings += (f"{found}: what they kept cannot be brought back",)
        return state

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The state in `folder`, to be read only, while a run may be at work; an empty one where there is none."""
        return cls(folder, *open_reading(folder))

    def close(self) -> None:
        """Close it; nothing else can be asked after that."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What has been brought.

    def known(self, target: str, name: str) -> Known | None:
        """What is remembered of one tag."""
        rows = self._rows("SELECT value, sum, target, name FROM known WHERE target = ? AND name = ?", target, name)
        return next(filter(None, map(_known, rows)), None)

    def known_at(self, target: str) -> list[Known]:
        """All tags that are remembered at one place, by name."""
        rows = self._rows("SELECT value, sum, target, name FROM known WHERE target = ? ORDER BY name", target)
        return [known for known in map(_known, rows) if known is not None]

    def remember(self, known: Known) -> None:
        """Keep what is known of a tag; it takes the place of what was known."""
        value = known.encode()
        self._do("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?)", known.target, known.name, value, _sum(value))

    def forget(self, target: str, name: str) -> None:
        """Nothing is known of this tag any more; it is not ours to prune."""
        self._do("DELETE FROM known WHERE target = ? AND name = ?", target, name)
        self.wanted(target, name)

    def created(self, digest: Digest | str) -> datetime | None:
        """When an image was created, if that was noted; with its time zone."""
        for (value,) in self._rows("SELECT value FROM created WHERE digest = ?", str(digest)):
            try:
                moment = datetime.fromisoformat(value)
            except (ValueError, TypeError):
                return None
            return None if moment.tzinfo is None else moment
        return None

    def note_created(self, digest: Digest | str, moment: datetime) -> None:
        """Keep when an image was created; its digest says that this never changes."""
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        self._do("INSERT OR REPLACE INTO created VALUES (?, ?)", str(digest), aware.isoformat())

    def lender(self, registry: str, digest: Digest) -> str | None:
        """A repository of `registry` that was seen to have this blob, and may have lost it since."""
        rows = self._rows("SELECT repository FROM lent WHERE registry = ? AND digest = ?", registry, _short(digest))
        return next((name for (name,) in rows if isinstance(name, str) and is_repository(name)), None)

    def lends(self, registry: str, digest: Digest, repository: str) -> None:
        """This repository has it: others of the registry can have it mounted from there. Of too many all are forgotten,
        which costs bytes that are brought once more, and no other harm.
        """
        self._noted += 1
        if self._noted % _LOOKED == 0 and self._rows("SELECT count(*) FROM lent") > [(MAX_LENT,)]:
            self._do("DELETE FROM lent")
        self._do("INSERT OR REPLACE INTO lent VALUES (?, ?, ?)", registry, _short(digest), repository)

    # What is not selected any more, and what undo has brought back.

    def unwanted_at(self, target: str, name: str) -> float | None:
        """Since when a tag is not selected, in seconds since the epoch; None: that was not noted."""
        rows = self._rows("SELECT since FROM unwanted WHERE target = ? AND name = ?", target, name)
        return next((float(since) for (since,) in rows if isinstance(since, int | float)), None)

    def unwanted(self, target: str) -> dict[str, float]:
        """All tags of a place that are not selected, and since when."""
        rows = self._rows("SELECT name, since FROM unwanted WHERE target = ?", target)
        return {str(name): float(since) for name, since in rows if isinstance(since, int | float)}

    def unwanted_since(self, target: str, name: str, now: float) -> float:
        """As `unwanted_at`; noted now if it was not. A time to come, of a clock that was set back, is now as well."""
        since = self.unwanted_at(target, name)
        if since is None or since > now:
            self._do("INSERT OR REPLACE INTO unwanted VALUES (?, ?, ?)", target, name, now)
            return now
        return since

    def wanted(self, target: str, name: str) -> None:
        """It is selected, so its time of grace would begin anew."""
        self._do("DELETE FROM unwanted WHERE target = ? AND name = ?", target, name)

    def held(self, target: str, name: str) -> str | None:
        """The digest that undo has taken from a tag: it is not to be brought there again, a later one is."""
        rows = self._rows("SELECT digest FROM held WHERE target = ? AND name = ?", target, name)
        return next((digest for (digest,) in rows if isinstance(digest, str)), None)

    def hold(self, target: str, name: str, digest: str) -> None:
        """See `held`."""
        self._do("INSERT OR REPLACE INTO held VALUES (?, ?, ?)", target, name, digest)

    def release(self, target: str, name: str) -> None:
        """The source has moved on."""
        self._do("DELETE FROM held WHERE target = ? AND name = ?", target, name)

    # When the tags of a place were asked after, each by itself.

    def looked(self, target: str, selection: str) -> float | None:
        """When all that `target` is to have of a source was last found there, in seconds since the epoch. `selection`
        names the source and what is chosen of it: of two mirrors between the same places each looks for itself.
        """
        rows = self._rows("SELECT at FROM looked WHERE target = ? AND selection = ?", target, selection)
        return next((float(at) for (at,) in rows if isinstance(at, int | float)), None)

    def note_looked(self, target: str, selection: str, now: float) -> None:
        """See `looked`."""
        self._do("INSERT OR REPLACE INTO looked VALUES (?, ?, ?)", target, selection, now)

    # Tombstones.

    def bury(self, tombstone: Tombstone) -> None:
        """Keep what a tag names before it goes; on the disk for certain. Of one tag and run, the first one stays."""
        with translated(self._folder):
            self._graveyard.bury(tombstone)

    def tombstones(self, run: str) -> list[Tombstone]:
        """What a run has taken away and undo has not brought back."""
        with translated(self._folder):
            return self._graveyard.of(run)

    def exhume(self, tombstone: Tombstone) -> None:
        """It is back in its place."""
        with translated(self._folder):
            self._graveyard.exhume(tombstone)

    def undoable(self) -> list[Undoable]:
        """The runs of which something can be brought back, the latest first."""
        with translated(self._folder):
            return self._graveyard.undoable()

    def buried_at(self, target: str) -> list[Tombstone]:
        """What undo may want back at one place, of any run."""
        with translated(self._folder):
            return [one for one in self._graveyard.standing.values() if one.target == target]

    # Runs.

    def begin(self, run: str, config: str, now: float) -> None:
        """Note that a run has begun; what is older than is kept goes."""
        with self._together():
            self._do("INSERT OR REPLACE INTO runs (run, config, started) VALUES (?, ?, ?)", run, config, now)
            self._do(_DROP_RUNS, RUNS_KEPT)
        with translated(self._folder):
            self._graveyard.sweep(now)

    def end(self, report: SyncReport) -> None:
        """Note how a run has ended, and keep its report."""
        document = json.dumps(report.encode(), separators=(",", ":")).encode()
        counts = json.dumps(report.counts)
        row = report.run, report.config, report.started, report.ended, int(report.is_well), counts
        with self._together():
            self._do("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", *row)
            self._do("DELETE FROM reports WHERE run = ?", report.run)
            self._do("INSERT INTO reports (run, report) VALUES (?, ?)", report.run, zlib.compress(document, 1))
            self._do(_DROP_REPORTS, REPORTS_KEPT)

    def runs(self, limit: int) -> list[RunRow]:
        """The last runs, the latest first."""
        rows = self._rows(
            "SELECT run, config, started, ended, well, counts FROM runs ORDER BY started DESC, run DESC LIMIT ?", limit
        )
        return [run for run in map(_run, rows) if run is not None]

    def report(self, run: str) -> dict[str, Any] | None:
        """The report of a run as plain data; None where it is not kept."""
        for (raw,) in self._rows("SELECT report FROM reports WHERE run = ?", run):
            try:
                return load_document(_inflated(raw), what="report of a run", limit=_REPORT_LIMIT)
            except (zlib.error, InputError, TypeError):
                return None
        return None

    # Schedules.

    def last(self, key: str) -> Last | None:
        """When `key` last ran."""
        for started, ended, well in self._rows("SELECT started, ended, well FROM last WHERE key = ?", key):
            if isinstance(started, int | float) and isinstance(ended, int | float) and well in (0, 1):
                return Last(float(started), float(ended), well == 1)
        return None

    def note_last(self, key: str, started: float, ended: float, well: bool) -> None:
        """Keep when `key` last ran."""
        self._do("INSERT OR REPLACE INTO last VALUES (?, ?, ?, ?)", key, started, ended, int(well))

    # The database.

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with translated(self._folder):
            return self._database.execute(statement, values).fetchall()

    def _do(self, statement: str, *values: object) -> None:
        with translated(self._folder):
            self._database.execute(statement, values)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Changes of which all are made, or none."""
        self._do("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.rollback()
            raise
        self._do("COMMIT")


def _short(digest: Digest) -> bytes:
    """Enough of it: who is taken for another lends nothing, and costs one request."""
    return bytes.fromhex(digest.hex[:32])


def _sum(value: str) -> int:
    return zlib.crc32(value.encode("utf-8", "surrogatepass"))


def _known(row: tuple[Any, ...]) -> Known | None:
    value, checksum, target, name = row
    if not isinstance(value, str) or _sum(value) != checksum:
        return None
    known = Known.decode(value)
    return known if known is not None and (known.target, known.name) == (target, name) else None


def _run(row: tuple[Any, ...]) -> RunRow | None:
    run, config, started, ended, well, counts = row
    if not isinstance(run, str) or not isinstance(config, str) or not isinstance(started, int | float):
        return None
    if not isinstance(ended, int | float) or well not in (0, 1):
        return RunRow(run, config, float(started))
    return RunRow(run, config, float(started), float(ended), well == 1, _counts(counts))


def _counts(text: object) -> Mapping[str, int]:
    try:
        document = load_document(text.encode(), what="counts") if isinstance(text, str) else {}
    except (InputError, UnicodeEncodeError):
        return {}
    return {key: value for key, value in document.items() if type(value) is int}


def _inflated(raw: bytes) -> bytes:
    return zlib.decompressobj().decompress(raw, _REPORT_LIMIT)
