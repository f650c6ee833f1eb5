"""Founding: how an empty directory becomes a store, and how an existing one is recognised."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from puller.errors import ContentCorrupt, InvalidManifest, StoreUnusable
from puller.model.digest import HEX_LENGTH
from puller.model.document import load_document
from puller.store.failure import translated
from puller.store.files import Files
from puller.store.layout import OWN, Layout
from puller.store.locks import Sleep, patiently
from puller.store.spare import set_aside
from puller.store.worker import Worker

logger = logging.getLogger(__name__)

VERSION = "1.0.0"
MARK = b'{"imageLayoutVersion":"1.0.0"}'
EMPTY_INDEX = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
_MARK_LIMIT = 4096


async def found(layout: Layout, files: Files, worker: Worker, *, sleep: Sleep) -> None:
    """Make the root of `layout` a store, or check that it is one.

    A new root is for its owner alone (0700, THREATS D3) unless the layout says otherwise; what others made keeps its
    rights. Raises StoreUnusable for a directory that holds something else, cannot be written or has no locks;
    ContentCorrupt where the index is missing.
    """
    await worker.run(_make_root, files, layout)
    if not await worker.run(_is_whole, files, layout):
        async with _as_founder(layout, files, worker, sleep) as founder:
            if founder:
                await _complete(layout, files, worker)
    await check_mark(layout, files)
    await worker.run(_check_locks, files, layout)
    await worker.run(set_aside, files, layout)


def _make_root(files: Files, layout: Layout) -> None:
    path = layout.root
    try:
        files.make_parents(path)
        is_new = files.make_directory(path, layout.mode_of(path))
    except FileNotFoundError as error:  # /proc and its like have no room for new directories
        raise StoreUnusable(
            "no directory can be made there", where=path, hint="Choose another directory for the store."
        ) from error
    if not is_new and files.is_shared(path):
        logger.warning("store %s may be written by other users of this machine", path)


def _is_whole(files: Files, layout: Layout) -> bool:
    marks = all(files.look(path) is not None for path in (layout.mark, layout.index))
    return marks and all(files.is_directory(path) for path in layout.directories)


@asynccontextmanager
async def _as_founder(layout: Layout, files: Files, worker: Worker, sleep: Sleep) -> AsyncIterator[bool]:
    """Hold the lock on the root directory; False: another founder was faster, and there is nothing left to do."""
    fd = await worker.run(files.open, layout.root, os.O_RDONLY | os.O_DIRECTORY)

    def attempt() -> bool | None:
        if files.lock(fd):
            return True
        return False if _is_whole(files, layout) else None

    try:
        yield await patiently(lambda: worker.run(attempt), sleep=sleep)
    finally:
        files.close(fd)


async def _complete(layout: Layout, files: Files, worker: Worker) -> None:
    """Make what is not there. The mark comes first: who dies after it leaves what the next one recognises."""
    names, scratch = set(await worker.run(files.names, layout.root)), layout.root / "oci-layout.new"
    if "oci-layout" not in names:
        if names - {scratch.name}:
            raise StoreUnusable(
                "directory is neither empty nor an OCI image layout",
                where=layout.root,
                hint="Choose another directory for the store.",
            )
        await worker.run(_sync_ancestors, files, layout.root)
        with translated():
            await files.replace(layout.mark, MARK, scratch=scratch, mode=0o644)
    elif OWN in names and not layout.own:
        hint = f"It is oci:{layout.root}, or choose another directory for the store."
        raise StoreUnusable("images are copied to this directory by their tags", where=layout.root, hint=hint)
    await worker.run(_make_directories, files, layout)
    if "index.json" not in names:
        await worker.run(_check_no_blobs, files, layout)
        with translated():
            await files.replace(layout.index, EMPTY_INDEX, scratch=layout.scratch("index.json"), mode=0o644)


async def check_mark(layout: Layout, files: Files) -> None:
    """Raise StoreUnusable unless the directory says that it is an image layout of the version that is known here."""
    with translated():
        raw = await files.read(layout.mark, limit=_MARK_LIMIT) or b""
    try:
        version = load_document(raw, what="oci-layout", limit=_MARK_LIMIT).get("imageLayoutVersion")
    except InvalidManifest as error:
        raise StoreUnusable("oci-layout cannot be read", where=layout.mark, got=error.where or error.what) from error
    if version != VERSION:
        raise StoreUnusable(
            "OCI image layout of another version", where=layout.mark, wanted=VERSION, got=repr(version)[:40]
        )


def _make_directories(files: Files, layout: Layout) -> None:
    for path in layout.directories:
        files.make_directory(path, layout.mode_of(path))
    # Else a power loss could take a directory with the blobs in it. Also of those that were there: their founder may
    # have died before this line.
    for parent in sorted({path.parent for path in layout.directories}):
        files.sync_directory(parent)


def _sync_ancestors(files: Files, root: Path) -> None:
    """Put the names that lead to `root` on the disk, whoever made them: its founder may have died before that.

    A new directory is on the file system of the one around it, so what lies beyond that file system was there before.
    """
    place = root.resolve()
    device = place.stat().st_dev
    for parent in place.parents:
        if parent.stat().st_dev != device:
            return
        with suppress(PermissionError):  # a directory that may be passed and not read
            files.sync_directory(parent)


def _check_no_blobs(files: Files, layout: Layout) -> None:
    if any(files.names(layout.blobs(algorithm)) for algorithm in HEX_LENGTH):
        raise ContentCorrupt(
            "the store has blobs and no index.json",
            where=layout.index,
            hint=f"Put it back from a copy; to begin without names, write {EMPTY_INDEX.decode()} into it.",
        )


def _check_locks(files: Files, layout: Layout) -> None:
    """Prove that a lock on one descriptor is seen by another (RELIABILITY L5)."""
    fds: list[int] = []
    try:
        fds += [files.open(layout.probe, os.O_RDWR | os.O_CREAT) for _ in range(2)]
        # Where the first fails another process holds it for this very test: then locks do work.
        are_seen = not files.lock(fds[0]) or not files.lock(fds[1])
    finally:
        for fd in fds:
            files.close(fd)
    if not are_seen:
        raise StoreUnusable(
            "the file system has no working locks",
            where=layout.root,
            hint="Choose a local file system for the store.",
        )
