"""Trees back into archives: of the same tree the same bytes, whoever packs it and wherever it lies.

Entries come in the order of Survey; whiteouts come first in their directory (image-spec layer.md, "Whiteouts"), and a
hard link after the file it names. Owners are numbers, and there are no times but those of changes.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from puller.errors import StoreUnusable, Unsupported
from puller.model.alteration import Alteration, Report, unreported
from puller.model.change import Change, Kind
from puller.rootfs.changes import ancestors, chosen
from puller.rootfs.content import content
from puller.rootfs.finding import SOCKET, Finding, Identity
from puller.rootfs.name import MAX_COMPONENT, joined, shown
from puller.rootfs.survey import Strata, Survey, strata
from puller.rootfs.whiteout import OPAQUE, PREFIX
from puller.stream.tarentry import DIRECTORY, HARD_LINK, NO_RECORDS, REGULAR, Entry
from puller.stream.tarfield import padding
from puller.stream.tarwrite import END, header

_CHUNK: Final = 1 << 20
_ROOT: Final = b"./"
_WHITEOUT_MODE: Final = 0o600


def pack_tree(tree: int | Strata, sidecars: Sequence[Path | int] = (), *, told: Report = unreported) -> Iterator[bytes]:
    """All of a tree as one archive, in chunks of about 1 MiB; the root is `./`.

    `told` hears what no archive holds and is left out: sockets. Raises StoreUnusable where a file changes meanwhile,
    Unsupported for names that would be read as whiteouts, and as Survey does.
    """
    return in_chunks(_whole(strata(tree, sidecars), told))


def pack_changes(
    tree: int | Strata, changes: Iterable[Change], sidecars: Sequence[Path | int] = (), *, told: Report = unreported
) -> Iterator[bytes]:
    """What `compare` found, as a layer: onto the old tree it makes the new one, `tree`.

    Files with several names are written with all of them where one is listed, for a layer may have to stand alone.
    Raises as pack_tree does, and StoreUnusable where a listed path is not there.
    """
    return in_chunks(_listed(strata(tree, sidecars), list(changes), told))


def in_chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of about 1 MiB, and the end of the archive behind them."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    waiting.append(END)
    yield b"".join(waiting)


def member(finding: Finding, told: Report) -> Iterator[bytes]:
    """One path: its headers, its content, and zeros to the end of the block. Raises Unsupported for names that layers
    take for whiteouts.
    """
    if finding.type == SOCKET:
        told(Alteration(finding.path, "entry", shown(finding.type), "a socket, which no archive holds"))
        return
    path = finding.path
    if b"/" + PREFIX in b"/" + path:
        raise Unsupported("a name that layers take for a whiteout", where=shown(path))
    name = path + b"/" if finding.type == DIRECTORY else path
    kind = HARD_LINK if finding.link else finding.type
    size = 0 if finding.link else finding.size
    yield header(
        Entry(
            name if path else _ROOT, finding.link or finding.target, kind, finding.mode, finding.uid, finding.gid, size,
            finding.mtime, b"", b"", *finding.device, finding.xattrs, NO_RECORDS, 0, size,
        )
    )  # fmt: skip
    if kind == REGULAR:
        yield from content(finding)
        yield bytes(padding(size))


def whiteout(directory: bytes, name: bytes) -> bytes:
    """The entry that hides `name`, of lower layers, in `directory`. Raises Unsupported where none can."""
    if name.startswith(PREFIX) or len(PREFIX + name) > MAX_COMPONENT:
        raise Unsupported("a name that no whiteout can hide", where=shown(joined(directory, name)))
    return _note(joined(directory, PREFIX + name))


def opaque(directory: bytes) -> bytes:
    """The entry that hides all that lower layers have in `directory`."""
    return _note(joined(directory, OPAQUE))


def _note(path: bytes) -> bytes:
    return header(
        Entry(path, b"", REGULAR, _WHITEOUT_MODE, 0, 0, 0, 0, b"", b"", 0, 0, NO_RECORDS, NO_RECORDS, 0, 0)
    )  # fmt: skip


def _whole(tree: Strata, told: Report) -> Iterator[bytes]:
    with Survey(tree) as survey:
        for finding in survey:
            yield from member(finding, told)


def _listed(tree: Strata, changes: list[Change], told: Report) -> Iterator[bytes]:
    wanted = {change.path for change in changes if change.kind is not Kind.DELETED}
    hidden = _by_directory(change.path for change in changes if change.kind is Kind.DELETED)
    above = ancestors(change.path for change in changes)
    files = _half_listed(tree, changes)
    with Survey(tree) as survey:
        for finding in survey:
            path = finding.path
            if path in wanted or (files and finding.identity in files):
                wanted.discard(path)
                yield from member(finding, told)
            if finding.type == DIRECTORY:
                for name in hidden.pop(path, ()):
                    yield whiteout(path, name)
                if not files and path not in above:
                    survey.skip()
    missing = min(wanted, default=None) if wanted else min(hidden, default=None)
    if missing is not None:
        raise StoreUnusable("a path that had changed is not there", where=shown(missing) or "/")


def _by_directory(paths: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """Names by the directory they are in, each directory's in order."""
    found: dict[bytes, list[bytes]] = {}
    for path in sorted(paths):
        directory, _, name = path.rpartition(b"/")
        found.setdefault(directory, []).append(name)
    return found


def _half_listed(tree: Strata, changes: list[Change]) -> set[Identity]:
    """Files of which some names are listed and others are not."""
    names: dict[Identity, int] = {}
    with Survey(tree) as survey:
        for finding in chosen(survey, changes):
            if finding.names > 1 and finding.type != DIRECTORY:
                names[finding.identity] = names.get(finding.identity, finding.names) - 1
    return {identity for identity, left in names.items() if left}
