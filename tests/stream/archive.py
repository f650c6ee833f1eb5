"""Tar archives written by hand, block by block, so that every odd thing can be said."""

from puller.stream.tarentry import DIRECTORY, LONG_NAME, PAX_HEADER, REGULAR

BLOCK = 512
END = bytes(2 * BLOCK)
POSIX, GNU, V7 = b"ustar\x0000", b"ustar  \0", bytes(8)


def octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def header(
    name: bytes = b"file",
    *,
    kind: bytes = REGULAR,
    size: int | bytes = 0,
    mode: bytes = b"0000644\0",
    uid: bytes = b"0001750\0",
    gid: bytes = b"0001751\0",
    mtime: bytes = b"00000000012\0",
    link: bytes = b"",
    magic: bytes = POSIX,
    uname: bytes = b"user",
    gname: bytes = b"group",
    major: bytes = b"0000000\0",
    minor: bytes = b"0000000\0",
    tail: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """One header block; `tail` is what follows the device numbers (the prefix of ustar)."""
    length = size if isinstance(size, bytes) else octal(size, 12)
    fields = (
        (name, 100), (mode, 8), (uid, 8), (gid, 8), (length, 12), (mtime, 12), (b" " * 8, 8), (kind, 1), (link, 100),
        (magic, 8), (uname, 32), (gname, 32), (major, 8), (minor, 8), (tail, 167),
    )  # fmt: skip
    block = b"".join(value.ljust(width, b"\0") for value, width in fields)
    assert len(block) == BLOCK
    found = b"%06o\0 " % sum(block) if checksum is None else checksum
    return block[:148] + found + block[156:]


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def member(name: bytes = b"file", content: bytes = b"", *, kind: bytes = REGULAR, magic: bytes = POSIX) -> bytes:
    """A header and its content."""
    return header(name, kind=kind, size=len(content), magic=magic) + padded(content)


def directory(name: bytes) -> bytes:
    return header(name, kind=DIRECTORY)


def record(key: bytes, value: bytes) -> bytes:
    """One PAX record with the length it says."""
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return b"%d%b" % (length, body)


def pax(*records: tuple[bytes, bytes], kind: bytes = PAX_HEADER) -> bytes:
    """An extended header of these records."""
    return member(b"PaxHeaders/file", b"".join(record(key, value) for key, value in records), kind=kind)


def long_name(name: bytes, *, kind: bytes = LONG_NAME) -> bytes:
    """A GNU long name (or, by `kind`, long link)."""
    return member(b"././@LongLink", name + b"\0", kind=kind, magic=GNU)


def sparse_header(pieces: list[tuple[int, int]], size: int, *, stored: int, extended: bool = False) -> bytes:
    """An old GNU `S` header with up to four pieces."""
    area = b"".join(octal(offset, 12) + octal(length, 12) for offset, length in pieces).ljust(96, b"\0")
    tail = bytes(41) + area + bytes([extended]) + octal(size, 12)
    return header(b"sparse", kind=b"S", size=stored, magic=GNU, tail=tail)
