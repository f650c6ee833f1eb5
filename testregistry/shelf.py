"""Where content lies: in memory, or in a directory that survives a restart. No rule of the registry lives here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Protocol

from testregistry.body import Body, BytesBody, FileBody


class Draft(Protocol):
    """Bytes being uploaded, in order."""

    @property
    def size(self) -> int: ...

    def append(self, chunk: bytes) -> None: ...

    def truncate(self, size: int) -> None:
        """Drop what was appended beyond `size`, when a chunk broke off or was refused."""
        ...

    def body(self) -> Body:
        """Return what was appended so far."""
        ...

    def drop(self) -> None: ...


class Shelf(Protocol):
    """Keeps bytes by digest, and small records by path."""

    def draft(self, session: str) -> Draft: ...

    def keep(self, digest: str, body: Body) -> Body:
        """Keep content and return it as it now lies."""
        ...

    def find(self, digest: str) -> Body | None: ...

    def forget(self, digest: str) -> None: ...

    def note(self, path: str, text: str) -> None:
        """Write a record."""
        ...

    def strike(self, path: str) -> None:
        """Remove a record that may be absent."""
        ...

    def notes(self) -> dict[str, str]:
        """Return every record by path."""
        ...


class MemoryDraft:
    """An upload held in memory."""

    def __init__(self) -> None:
        self._raw = bytearray()

    @property
    def size(self) -> int:
        return len(self._raw)

    def append(self, chunk: bytes) -> None:
        self._raw += chunk

    def truncate(self, size: int) -> None:
        del self._raw[size:]

    def body(self) -> Body:
        return BytesBody(bytes(self._raw))

    def drop(self) -> None:
        self._raw.clear()


class MemoryShelf:
    """Content in a dict, gone with the process."""

    def __init__(self) -> None:
        self._content: dict[str, Body] = {}

    def draft(self, session: str) -> Draft:
        return MemoryDraft()

    def keep(self, digest: str, body: Body) -> Body:
        self._content[digest] = body
        return body

    def find(self, digest: str) -> Body | None:
        return self._content.get(digest)

    def forget(self, digest: str) -> None:
        self._content.pop(digest, None)

    def note(self, path: str, text: str) -> None:
        """Records are already held by the registry itself: nothing outlives the process here."""

    def strike(self, path: str) -> None:
        """See `note`."""

    def notes(self) -> dict[str, str]:
        return {}


class FileDraft:
    """An upload growing in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()

    @property
    def size(self) -> int:
        return self._path.stat().st_size

    def append(self, chunk: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(chunk)

    def truncate(self, size: int) -> None:
        os.truncate(self._path, size)

    def body(self) -> Body:
        return FileBody.whole(self._path)

    def drop(self) -> None:
        self._path.unlink(missing_ok=True)


class DirectoryShelf:
    """`blobs/<algorithm>/<hex>`, `records/…` one small file each, and `uploads/` swept at start."""

    def __init__(self, root: Path) -> None:
        self._root = root
        shutil.rmtree(root / "uploads", ignore_errors=True)
        for name in ("blobs", "records", "uploads"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def draft(self, session: str) -> Draft:
        return FileDraft(self._root / "uploads" / session)

    def keep(self, digest: str, body: Body) -> Body:
        path = self._path(digest)
        path.parent.mkdir(exist_ok=True)
        uploads = self._root / "uploads"
        # Moved into place whole, so that a registry killed in the middle does not serve half a blob after its restart.
        if isinstance(body, FileBody) and body.path.parent == uploads:
            body.path.replace(path)
            return FileBody.whole(path)
        partial = uploads / f"keep-{path.name}"
        with partial.open("wb") as file:
            for chunk in body.chunks():
                file.write(chunk)
        partial.replace(path)
        return FileBody.whole(path)

    def find(self, digest: str) -> Body | None:
        path = self._path(digest)
        return FileBody.whole(path) if path.is_file() else None

    def forget(self, digest: str) -> None:
        self._path(digest).unlink(missing_ok=True)

    def note(self, path: str, text: str) -> None:
        file = self._root / "records" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._root / "uploads" / "record"
        partial.write_text(text)
        partial.replace(file)

    def strike(self, path: str) -> None:
        (self._root / "records" / path).unlink(missing_ok=True)

    def notes(self) -> dict[str, str]:
        records = self._root / "records"
        files = sorted(path for path in records.rglob("*") if path.is_file())
        return {str(path.relative_to(records)): path.read_text() for path in files}

    def _path(self, digest: str) -> Path:
        algorithm, _, digits = digest.partition(":")
        return self._root / "blobs" / algorithm / digits


def shelf_for(root: Path | None) -> Shelf:
    """Return the shelf of a directory, or one in memory when there is none."""
    return MemoryShelf() if root is None else DirectoryShelf(root)
