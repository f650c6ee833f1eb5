"""The written list: where another reader sees otherwise than ours, why that is as it should be, and the archive.

Whatever is not here is a defect, ours or of the list. docs/unpacking.md tells it to users.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from puller.errors import InvalidArchive
from puller.stream.saneheader import HeaderReader
from puller.stream.tarentry import HARD_LINK, LONG_LINK, OLD_REGULAR, OLD_SPARSE, PAX_GLOBAL
from tests.differential.compare import ALL, Difference
from tests.differential.member import Member, Reading
from tests.stream.archive import (
    BLOCK,
    END,
    GNU,
    POSIX,
    V7,
    header,
    long_name,
    member,
    octal,
    padded,
    pax,
    sparse_header,
)

GNU_TAR, LIBARCHIVE, TARFILE = "GNU tar", "libarchive", "tarfile"
_MAP: Final = slice(386, 495)
_NOTHING: Final = hashlib.sha256().hexdigest()
_PREFIX: Final = 345
_MAGIC: Final = slice(257, 265)
_DEVICES: Final = (slice(329, 337), slice(337, 345))


@dataclass(frozen=True, slots=True)
class Known:
    """One difference that is as it should be: who differs, in what, and which archives can show it."""

    name: str
    oracles: tuple[str, ...]
    fields: frozenset[str]
    applies: Callable[[bytes, Reading, Reading], bool]
    fixture: bytes


def unexplained(oracle: str, archive: bytes, ours: Reading, theirs: Reading, found: Difference) -> frozenset[str]:
    """The fields of a difference that no entry of the list speaks of."""
    left = found.fields
    for known in KNOWN:
        if oracle in known.oracles and known.fields & left and known.applies(archive, ours, theirs):
            left -= known.fields
    return left


def headers(archive: bytes) -> Iterator[bytes]:
    """Whatever looks like a header block, wherever it lies."""
    reader = HeaderReader()
    for at in range(0, len(archive) - BLOCK + 1, BLOCK):
        block = archive[at : at + BLOCK]
        try:
            reader.parse(block, at)
        except InvalidArchive:
            continue
        yield block


def _has_type(kind: bytes) -> Callable[[bytes, Reading, Reading], bool]:
    return lambda archive, _ours, _theirs: any(block[156:157] == kind for block in headers(archive))


def _odd_prefix(archive: bytes, _ours: Reading, _theirs: Reading) -> bool:
    return any(block[_PREFIX] and not block[_MAGIC].startswith(POSIX[:6]) for block in headers(archive))


def _odd_device(archive: bytes, _ours: Reading, _theirs: Reading) -> bool:
    old = (block for block in headers(archive) if block[_MAGIC] != GNU and not block[_MAGIC].startswith(POSIX[:6]))
    numbers = (block[field].partition(b"\0")[0].strip() for block in old for field in _DEVICES)
    return any(number.strip(b"01234567") for number in numbers)


def _long_link(archive: bytes, _ours: Reading, _theirs: Reading) -> bool:
    return b"linkpath=" in archive or any(block[156:157] == LONG_LINK for block in headers(archive))


def _link_with_size(archive: bytes, _ours: Reading, _theirs: Reading) -> bool:
    return any(block[156:157] == HARD_LINK and block[124:136].strip(b"0\0 ") for block in headers(archive))


def _sparse(archive: bytes, _ours: Reading, _theirs: Reading) -> bool:
    return b"GNU.sparse." in archive or any(block[156:157] == OLD_SPARSE for block in headers(archive))


def _only_a_hole(archive: bytes, ours: Reading, theirs: Reading) -> bool:
    pairs = zip(ours.members, theirs.members, strict=False)
    return _sparse(archive, ours, theirs) and any(m.content != o.content == _NOTHING for m, o in pairs)


def _stray_map(archive: bytes, _ours: Reading, _theirs: Reading) -> bool:
    return any(block[_MAGIC] == GNU and any(block[_MAP]) for block in headers(archive))


def _negative_fraction(_archive: bytes, ours: Reading, _theirs: Reading) -> bool:
    return any(m.mtime is not None and m.mtime < 0 and m.mtime % 10**9 for m in ours.members)


def _complains(_archive: bytes, _ours: Reading, theirs: Reading) -> bool:
    return only_complains(theirs)


def only_complains(reading: Reading) -> bool:
    """Whether GNU tar goes on all the same, and only ends with an exit code of 2."""
    return "Blanks in header" in reading.refusal


_MAP_1_0: Final = pax(
    (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"sparse"),
    (b"GNU.sparse.realsize", b"1000"), (b"size", b"512"),
) + member(content=padded(b"1\n1000\n0\n"))  # fmt: skip
_ALL: Final = frozenset((*Member._fields, ALL))

KNOWN: Final = (
    # Containerd and moby ignore global headers; what they could do to names and sizes we refuse (THREATS E13).
    Known(
        "global headers are not heeded", (GNU_TAR, TARFILE), frozenset(("uid", "gid", "mtime")), _has_type(PAX_GLOBAL),
        pax((b"uid", b"5"), (b"mtime", b"77"), kind=PAX_GLOBAL) + member() + END,
    ),
    # Go before 1.8, and so Docker, wrote a ustar prefix under GNU's magic; its successors read it so. To GNU tar and
    # libarchive there are times, and a map of a sparse file.
    Known(
        "a prefix under the magic of GNU is read as Go wrote it", (GNU_TAR, LIBARCHIVE),
        frozenset(("name", "type", "size", "content", ALL)), _odd_prefix, header(magic=GNU, tail=b"some/dir") + END,
    ),
    # tarfile looks for a prefix whatever the magic says.
    Known(
        "what is no prefix to the magic is none", (TARFILE,), frozenset(("name", "type", "content", ALL)), _odd_prefix,
        header(magic=V7, tail=b"some/dir") + END,
    ),
    # A v7 header has no device numbers; tarfile wants some there, and takes a header without for the archive's end.
    Known(
        "a v7 header has no device numbers", (TARFILE,), frozenset((ALL,)), _odd_device,
        member() + header(b"next", magic=V7, major=b"58") + END,
    ),
    # CVE-2025-13462: tarfile decides before it has read the long name (THREATS E6).
    Known(
        "the type is decided by the final name", (TARFILE,), frozenset(("type", "size", "content", "name", ALL)),
        _has_type(OLD_REGULAR), pax((b"path", b"dir/")) + header(b"file", kind=OLD_REGULAR) + END,
    ),
    # To GNU tar a slash at the end makes a directory of an old file, unless it is all of the name.
    Known(
        "the root is a directory", (GNU_TAR,), frozenset(("type", "content")), _has_type(OLD_REGULAR),
        header(b"/", kind=OLD_REGULAR) + END,
    ),
    # GNU tar writes the beginning of a long link into the header as well; without it libarchive sees no link.
    Known(
        "a long link needs no short one", (LIBARCHIVE,), frozenset(("linkname", "type", "size", "content")),
        _long_link, long_name(b"target", kind=LONG_LINK) + header(kind=HARD_LINK) + END,
    ),
    # libarchive hands out what is stored, and nothing is.
    Known(
        "a hole is content", (LIBARCHIVE,), frozenset(("content",)), _only_a_hole,
        sparse_header([(1000, 0)], 1000, stored=0) + END,
    ),
    # Of a size in PAX and the real size of format 1.0, tarfile heeds the first.
    Known(
        "the size of a sparse file is its real one", (TARFILE,), frozenset(("size", "content")),
        lambda archive, _ours, _theirs: b"GNU.sparse.major=1\n" in archive, _MAP_1_0 + END,
    ),
    # libarchive looks for a map in every header of GNU; honest writers left there what was in memory.
    Known(
        "only sparse files have a map", (LIBARCHIVE,), frozenset(("size", "content", "name", ALL)), _stray_map,
        header(magic=GNU, tail=bytes(41 + 97) + octal(2048, 12)) + END,
    ),
    # In an archive that has PAX headers anywhere, libarchive takes what follows a hard link for its content, by the
    # size in its header; elsewhere it looks first whether that is a header, and the others never do.
    Known(
        "a hard link has no content", (LIBARCHIVE,), frozenset(("size", "content", ALL)), _link_with_size,
        pax((b"comment", b"x")) + member(b"before") + header(kind=HARD_LINK, link=b"before", size=512) + member() + END,
    ),
    # POSIX: -1.5 lies before -1. libarchive puts the fraction behind.
    Known(
        "a fraction belongs to its negative number", (LIBARCHIVE,), frozenset(("mtime",)), _negative_fraction,
        pax((b"mtime", b"-1.5")) + member() + END,
    ),
    # Go wrote them for owners without a number; GNU tar reads them as -1 and says so, with exit code 2.
    Known(
        "blank numbers are zero", (GNU_TAR,), frozenset(("uid", "gid", "mode", "mtime")), _complains,
        header(uid=b" " * 8) + END,
    ),
    # GNU tar 1.34 spoils the holes of a sparse file, and what follows, when it writes to stdout as the tests let it.
    Known(
        "sparse files are read whole", (GNU_TAR,), _ALL, _sparse,
        sparse_header([(0, 3), (1024, 5)], 2048, stored=8) + padded(b"abcdefgh") + member() + END,
    ),
)  # fmt: skip
