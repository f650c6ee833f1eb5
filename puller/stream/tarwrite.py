"""Entries back into tar headers: the same entry gives the same bytes on every machine.

POSIX ustar, with a pax header in front only for what ustar cannot say. Sources: POSIX.1-2017 pax, "ustar Interchange
Format" and "pax Header Block"; star(1) for SCHILY.xattr.
"""

from typing import Final

from puller.errors import Unsupported
from puller.stream.tarentry import NO_RECORDS, PAX_HEADER, Entry
from puller.stream.tarfield import BLOCK, HEADER, POSIX_MAGIC, padding

END: Final = bytes(2 * BLOCK)

_XATTR: Final = b"SCHILY.xattr."
_NAME, _PREFIX, _LINK = 100, 155, 100  # bytes of these fields
_MOST_OWNER: Final = 0o7777777
_MOST_SIZE: Final = 0o77777777777  # also the latest time
_SECOND: Final = 10**9
_PAX_MODE: Final = 0o644


def header(entry: Entry) -> bytes:
    """All header blocks of one member, to be followed by its content and `padding(entry.size)` zeros.

    Owners are numbers only, and there are no times but `mtime` (nanoseconds). `entry.pax` is not looked at. Raises
    Unsupported for what no header says: a NUL in a name, or an attribute with `=` in its name.
    """
    records, prefix, name = _records(entry)
    block = _block(entry, prefix, name)
    if not records:
        return block
    if not all(_is_utf8(records.get(key, b"")) for key in (b"path", b"linkpath")):
        records[b"hdrcharset"] = b"BINARY"
    content = b"".join(record(key, value) for key, value in sorted(records.items()))
    base = entry.name.rstrip(b"/").rpartition(b"/")[2]
    plain = Entry(
        b"PaxHeaders/" + base[:64], b"", PAX_HEADER, _PAX_MODE, 0, 0, len(content), 0, b"", b"", 0, 0,
        NO_RECORDS, NO_RECORDS, 0, len(content),
    )  # fmt: skip
    return _block(plain, b"", plain.name) + content + bytes(padding(len(content))) + block


def record(key: bytes, value: bytes) -> bytes:
    """One pax record, which begins with its own length."""
    rest = len(key) + len(value) + 3  # space, equals sign, newline
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def _records(entry: Entry) -> tuple[dict[bytes, bytes], bytes, bytes]:
    """What needs a pax header, and how the name is divided between prefix and name."""
    if b"\0" in entry.name or b"\0" in entry.linkname:
        raise Unsupported("a name with a NUL in it", where=entry.name.decode(errors="backslashreplace"))
    found: dict[bytes, bytes] = {}
    division = _divided(entry.name)
    if division is None:
        found[b"path"] = entry.name
        division = b"", entry.name[:_NAME]
    if len(entry.linkname) > _LINK:
        found[b"linkpath"] = entry.linkname
    if entry.size > _MOST_SIZE:
        found[b"size"] = b"%d" % entry.size
    for key, owner in ((b"uid", entry.uid), (b"gid", entry.gid)):
        if owner > _MOST_OWNER:
            found[key] = b"%d" % owner
    if entry.mtime % _SECOND or not 0 <= entry.mtime // _SECOND <= _MOST_SIZE:
        found[b"mtime"] = decimal(entry.mtime)
    for key, value in entry.xattrs.items():
        if b"=" in key or b"\0" in key:
            where = entry.name.decode(errors="backslashreplace")
            raise Unsupported("an attribute that no archive can name", where=where, got=key)
        found[_XATTR + key] = value
    return found, *division


def _divided(name: bytes) -> tuple[bytes, bytes] | None:
    """(prefix, name), the name as long as it may be; None where it does not fit."""
    if len(name) <= _NAME:
        return b"", name
    cut = name.find(b"/", max(1, len(name) - _NAME - 1), len(name) - 1)
    if not 0 < cut <= _PREFIX:
        return None
    return name[:cut], name[cut + 1 :]


def decimal(nanoseconds: int) -> bytes:
    """Seconds as pax writes them: `-1.5`."""
    whole, rest = divmod(abs(nanoseconds), _SECOND)
    sign = b"-" if nanoseconds < 0 else b""
    fraction = b".%s" % (b"%09d" % rest).rstrip(b"0") if rest else b""
    return b"%s%d%s" % (sign, whole, fraction)


def _block(entry: Entry, prefix: bytes, name: bytes) -> bytes:
    """The header block, fields that a pax record overrules cut or zero."""
    fields = (
        name, _octal(entry.mode, 8), _octal(_fitting(entry.uid, _MOST_OWNER), 8),
        _octal(_fitting(entry.gid, _MOST_OWNER), 8), _octal(_fitting(entry.size, _MOST_SIZE), 12),
        _octal(_fitting(entry.mtime // _SECOND, _MOST_SIZE), 12), b" " * 8, entry.type, entry.linkname[:_LINK],
        POSIX_MAGIC + b"00", b"", b"", _octal(entry.devmajor, 8), _octal(entry.devminor, 8), prefix,
    )  # fmt: skip
    block = HEADER.pack(*fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def _fitting(value: int, most: int) -> int:
    return value if 0 <= value <= most else 0
