"""PAX extended headers, strictly: `LENGTH KEYWORD=VALUE\\n` (POSIX.1-2001 pax, "pax Extended Header").

Where readers of tar disagree about a record, it is refused: an entry that two programs see differently hides something
from one of them (THREATS E7).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from puller.errors import InvalidArchive, LimitExceeded
from puller.stream.tarfield import INT64

XATTR: Final = b"SCHILY.xattr."
# Records that make a sparse file of an entry: to GNU tar and all after it, to star, to Solaris and libarchive.
SPARSE: Final = (b"GNU.sparse.", b"SCHILY.realsize", b"SUN.holesdata")
MAX_RECORD: Final = 1 << 20

_LENGTH: Final = re.compile(rb"([0-9]{1,8}) ")
_NUMBER: Final = re.compile(rb"[0-9]{1,40}")
_TIME: Final = re.compile(rb"(-?)([0-9]{1,19})(?:\.([0-9]{0,30}))?")
_STRINGS: Final = {b"path": "name", b"linkpath": "linkname", b"uname": "uname", b"gname": "gname"}
_NUMBERS: Final = {b"uid": "uid", b"gid": "gid", b"size": "size"}
_MUST_HAVE_VALUE: Final = frozenset((b"path", b"linkpath", b"uid", b"gid", b"size", b"mtime"))


@dataclass(frozen=True, slots=True)
class Extension:
    """What the records of one `x` block say.

    `fields` are by the names of Entry; `sparse` are the records of sparse files in their order, which format 0.0 needs.
    """

    fields: dict[str, bytes | int] = field(default_factory=dict)
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    records: dict[bytes, bytes] = field(default_factory=dict)
    sparse: tuple[tuple[bytes, bytes], ...] = ()


def parse_records(body: bytes) -> list[tuple[bytes, bytes]]:
    """The records in order. Raises InvalidArchive for any that is malformed, LimitExceeded for one above 1 MiB."""
    records = []
    at = 0
    while at < len(body):
        match = _LENGTH.match(body, at)
        if match is None:
            raise _invalid("no length", body[at : at + 20])
        end = at + int(match[1])
        if end - at > MAX_RECORD:
            raise LimitExceeded("PAX record too large", wanted=f"at most {MAX_RECORD} bytes", got=end - at)
        key, equals, value = body[match.end() : end - 1].partition(b"=")
        if end > len(body) or end <= match.end() or body[end - 1 : end] != b"\n" or not key or not equals:
            raise _invalid("malformed record", body[at : at + 40])
        records.append((key, value))
        at = end
    return records


def parse_extension(body: bytes) -> Extension:
    """An `x` block. Of equal keys the last wins, as POSIX says. Raises InvalidArchive, LimitExceeded."""
    pairs = parse_records(body)
    extension = Extension(records=dict(pairs), sparse=tuple(pair for pair in pairs if pair[0].startswith(SPARSE)))
    for key, value in extension.records.items():
        if not value and key in _MUST_HAVE_VALUE:
            # POSIX wants it to delete the header's own value; readers keep that value, or set an empty one.
            raise _invalid("empty value", key)
        if key in _STRINGS:
            if b"\0" in value:
                raise _invalid(f"NUL in {key.decode()}", value[:80])
            if value:
                extension.fields[_STRINGS[key]] = value
        elif key in _NUMBERS:
            extension.fields[_NUMBERS[key]] = number(value, key)
        elif key == b"mtime":
            extension.fields["mtime"] = _nanoseconds(value)
        elif key.startswith(XATTR):
            _add_xattr(extension.xattrs, key.removeprefix(XATTR), value)
    return extension


def number(value: bytes, key: bytes) -> int:
    """A decimal number below 2^63, as PAX writes sizes and owners. Raises InvalidArchive naming `key`."""
    if not _NUMBER.fullmatch(value) or int(value) >= INT64:
        raise _invalid(f"invalid {key.decode(errors='replace')}", value[:40])
    return int(value)


def numbers(values: Iterable[bytes], key: bytes) -> list[int]:
    """Several of them."""
    return [number(value, key) for value in values]


def _nanoseconds(value: bytes) -> int:
    match = _TIME.fullmatch(value)
    if match is None or int(match[2]) >= INT64:
        raise _invalid("invalid mtime", value[:40])
    sign, seconds, fraction = match.groups(b"")
    magnitude = int(seconds) * 10**9 + int(fraction[:9].ljust(9, b"0"))
    return -magnitude if sign else magnitude


def _add_xattr(xattrs: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    if not name or b"\0" in name:
        raise _invalid("invalid name of an extended attribute", name[:80])
    xattrs[name] = value


def _invalid(what: str, got: bytes) -> InvalidArchive:
    return InvalidArchive(f"PAX header: {what}", got=repr(got))
