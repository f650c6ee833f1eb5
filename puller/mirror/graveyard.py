"""Graveyard: the tombstones of a state, in a file of lines that are only ever appended, and synced before a tag goes.

They are no cache, as the rest of the state is: without its tombstone a tag cannot be brought back. So they do not lie
in the database, and outlive it. Each line carries its checksum; one that is torn or damaged is passed over and counted.
"""

import base64
import json
import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args

from puller.errors import InputError, StoreUnusable
from puller.mirror.known import UNDO_WINDOW, Kind, Tombstone, Undoable
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES, load_document
from puller.model.mediatype import SCHEMA1_MANIFESTS

NAME: Final = "tombstones.jsonl"
_LONGEST: Final = 2 * MAX_BYTES  # a manifest in base64, and what is said of it
_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_TEXTS: Final = ("run", "target", "name", "root", "media_type", "source", "manner")
_Key: TypeAlias = tuple[str, str, str, str]


class Graveyard:
    """The tombstones in one folder, read when they are first asked for. OSErrors are the caller's to translate."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._read: dict[_Key, Tombstone] | None = None
        self._lines = 0
        self.damaged = 0  # lines that cannot be read, but for the last one where a crash has cut it off

    def bury(self, tombstone: Tombstone) -> None:
        """Keep it: it is on the disk when this returns. Of one tag and run, the first stays."""
        key = _key(tombstone)
        if key not in self.standing:
            self._append(_encoded(tombstone))
            self.standing[key] = tombstone

    def exhume(self, tombstone: Tombstone) -> None:
        """What it kept is back in its place."""
        if self.standing.pop(_key(tombstone), None) is not None:
            self._append({"exhumed": list(_key(tombstone))})

    def of(self, run: str) -> list[Tombstone]:
        """Those of one run that are not exhumed, in the order they were buried."""
        return [one for one in self.standing.values() if one.run == run]

    def undoable(self) -> list[Undoable]:
        """All runs of which something can be brought back, the latest first."""
        runs: dict[str, list[Tombstone]] = {}
        for one in self.standing.values():
            runs.setdefault(one.run, []).append(one)
        found = []
        for run, them in runs.items():
            pruned = sum(one.kind == "pruned" for one in them)
            found.append(Undoable(run, min(one.at for one in them), pruned, len(them) - pruned))
        return sorted(found, key=lambda one: (one.at, one.run), reverse=True)

    @property
    def standing(self) -> dict[_Key, Tombstone]:
        """All that are not exhumed, in the order they were buried."""
        if self._read is None:
            self._read = self._load()
        return self._read

    def sweep(self, now: float) -> None:
        """Drop what undo does not reach back to, or has brought back; the file is replaced as a whole."""
        staying = {key: one for key, one in self.standing.items() if one.at > now - UNDO_WINDOW}
        if len(staying) == self._lines:
            return
        new = self._path.with_name(f"{NAME}.new")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.writelines(_line(_encoded(one)) for one in staying.values())
            file.flush()
            os.fsync(fd)
        new.rename(self._path)
        self._read, self._lines = staying, len(staying)

    def _load(self) -> dict[_Key, Tombstone]:
        found: dict[_Key, Tombstone] = {}
        torn = False
        for line in self._stored():
            self._lines += 1
            self.damaged += torn
            document = _document(line)
            torn = document is None
            if document is None:
                continue
            if (exhumed := document.get("exhumed")) is not None:
                if isinstance(exhumed, list) and all(isinstance(part, str) for part in exhumed):
                    found.pop(tuple(exhumed), None)
                else:
                    self.damaged += 1
            elif (tombstone := _decoded(document)) is None:
                self.damaged += 1
            else:
                found.setdefault(_key(tombstone), tombstone)
        return found

    def _stored(self) -> Iterator[bytes]:
        try:
            fd = os.open(self._path, os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            return
        with os.fdopen(fd, "rb") as file:
            _demand_file(fd, self._path)
            while line := file.readline(_LONGEST):
                yield line

    def _append(self, document: Mapping[str, Any]) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _FLAGS, 0o600)
        try:
            _demand_file(fd, self._path)
            size = os.fstat(fd).st_size
            line = _line(document)
            if size and os.pread(fd, 1, size - 1) != b"\n":  # what a crash has cut off must not spoil this one
                line = b"\n" + line
            with os.fdopen(os.dup(fd), "ab") as file:
                file.write(line)
            os.fsync(fd)
            if not size:
                _sync_folder(self._path.parent)
        finally:
            os.close(fd)
        self._lines += 1


def _key(tombstone: Tombstone) -> _Key:
    return tombstone.run, tombstone.target, tombstone.name, tombstone.kind


def _encoded(tombstone: Tombstone) -> dict[str, Any]:
    return asdict(tombstone) | {"raw": base64.b64encode(tombstone.raw).decode("ascii")}


def _line(document: Mapping[str, Any]) -> bytes:
    """`CHECKSUM JSON`, the checksum of the JSON in eight hex digits."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _document(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return load_document(text, what="tombstone", limit=_LONGEST)
    except InputError:
        return None


def _decoded(document: Mapping[str, Any]) -> Tombstone | None:
    try:
        raw = base64.b64decode(document["raw"], validate=True)
        tombstone = Tombstone(**{**document, "raw": raw})
        root = Digest.parse(tombstone.root)
        is_text = all(isinstance(getattr(tombstone, name), str) for name in _TEXTS)
        is_number = type(tombstone.at) in (int, float)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    # A signed manifest of schema 1 has the digest of its payload.
    is_its = tombstone.media_type in SCHEMA1_MANIFESTS or Digest.of(raw, root.algorithm) == root
    return tombstone if is_text and is_number and is_its and tombstone.kind in get_args(Kind) else None


def _demand_file(fd: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise StoreUnusable("no plain file", where=path)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
