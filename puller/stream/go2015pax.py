"""PAX records as Go 1.5 read and merged them (LEGACY.md a.4)."""

from collections.abc import Mapping
from typing import Final

from puller.errors import InvalidArchive
from puller.stream.go2015number import parse_int, parse_time
from puller.stream.go2015sparse import INVALID, panic
from puller.stream.tarentry import Entry

XATTR: Final = b"SCHILY.xattr."
_SHORTEST: Final = 5
_STRINGS: Final = {b"path": "name", b"linkpath": "linkname", b"uname": "uname", b"gname": "gname"}
_NUMBERS: Final = {b"uid": "uid", b"gid": "gid", b"size": "size"}


def parse_records(body: bytes) -> dict[bytes, bytes]:
    """The records of an x block; the last of equal keys wins. The byte where a newline belongs is not looked at.

    The offsets and lengths of sparse format 0.0 are gathered into the map of format 0.1.
    """
    records: dict[bytes, bytes] = {}
    sparse_map: list[bytes] = []
    at = 0
    while at < len(body):
        space = body.find(b" ", at)
        try:
            length = parse_int(body[at:space]) if space >= 0 else 0
        except ValueError:
            length = 0
        if length < _SHORTEST or length > len(body) - at:
            raise InvalidArchive(INVALID)
        start, end = space + 1, at + length - 1
        if start > end:
            raise panic(f"runtime error: slice bounds out of range [{start - at}:{end - at}]")
        key, equals, value = body[start:end].partition(b"=")
        if not equals:
            raise InvalidArchive(INVALID)
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            sparse_map.append(value)
        else:
            records[key] = value
        at += length
    if sparse_map:
        records[b"GNU.sparse.map"] = b",".join(sparse_map)
    return records


def merged(entry: Entry, records: Mapping[bytes, bytes]) -> Entry:
    """`entry` with the records it knows. `size` changes what is told, never how many bytes are read.

    The original stopped at a value it could not parse, having applied an unpredictable part of the others, and went on
    without error; here such a value is passed over.
    """
    fields: dict[str, object] = {}
    for key, value in records.items():
        try:
            if key in _STRINGS:
                fields[_STRINGS[key]] = value
            elif key in _NUMBERS:
                fields[_NUMBERS[key]] = parse_int(value)
            elif key == b"mtime":
                fields["mtime"] = parse_time(value)
        except ValueError:
            continue
    xattrs = {key[len(XATTR) :]: value for key, value in records.items() if key.startswith(XATTR)}
    return entry._replace(**fields, xattrs=xattrs, pax=records)  # type: ignore[arg-type]  # checked key by key above
