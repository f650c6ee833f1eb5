"""PlainEntries: the short way gives what the long way gives, and takes what it is there for."""

import random
from collections.abc import Callable

import pytest

from puller.errors import LayerError
from puller.stream.go2015 import GO2015
from puller.stream.tar import TarSink
from puller.stream.tarentry import Entry
from puller.stream.tarsum import FileSum, Tarsum, TarsumSink, TarsumVersion
from tests.stream.archive import END, GNU, V7, directory, header, long_name, member, octal, padded, pax
from tests.stream.pieces import feed, random_cuts, whole

FIELDS = {
    "name": slice(0, 100),
    "mode": slice(100, 108),
    "uid": slice(108, 116),
    "gid": slice(116, 124),
    "size": slice(124, 136),
    "mtime": slice(136, 148),
    "chksum": slice(148, 156),
    "type": slice(156, 157),
    "link": slice(157, 257),
    "magic": slice(257, 265),
    "uname": slice(265, 297),
    "gname": slice(297, 329),
    "major": slice(329, 337),
    "minor": slice(337, 345),
    "prefix": slice(345, 500),
    "star": slice(500, 512),
}
ODD = (
    b"", b" ", b"\0", b"7", b"8", b"0x1", b"1_1", b"+1", b"-1", b"\xff" * 12, b"\x80\0\0\0\0\0\0\1", b"77777777777\0",
    b"00000000003 ", b"         3 \0", b"00000000003x", b"tar\0", b"\0tar\0", b"./a/", b"a\0b", b"ustar\0zz",
    b"ustar  \0", b"3", b"4", b"5", b"L", b"K", b"S", b"x", b"g", b"\xc3\xa9", b"\r\n", b"d" * 200,
)  # fmt: skip


class Told(Tarsum):
    """A Tarsum that notes what came to it the long way."""

    def __init__(self, version: TarsumVersion = TarsumVersion.V1) -> None:
        super().__init__(version)
        self.told: list[bytes] = []

    def entry(self, entry: Entry, /) -> None:
        self.told.append(entry.name)
        super().entry(entry)


def result(sink: TarSink | TarsumSink, tarsum: Tarsum, data: bytes) -> tuple[tuple[FileSum, ...], str, str | None]:
    try:
        feed(sink, data)
        tarsum.finish()
    except LayerError as error:
        return tarsum.sums, tarsum.sum(), error.what
    return tarsum.sums, tarsum.sum(), None


def both(data: bytes, version: TarsumVersion) -> int:
    """Compare the two ways; how many entries came the short one."""
    long, short = Tarsum(version), Told(version)
    assert result(TarSink(long, dialect=GO2015), long, data) == result(TarsumSink(short), short, data)
    return short.count - len(short.told)


def with_checksum(block: bytes) -> bytes:
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % (sum(blank) % 8**6) + block[156:]


def test_headers_with_anything_in_any_field_are_summed_as_without_the_short_way() -> None:
    chance = random.Random(15)
    taken = 0
    for _ in range(3000):
        block = bytearray(header(b"dir/file", size=3, magic=chance.choice((b"ustar\x0000", GNU, V7))))
        for field in chance.sample(sorted(FIELDS), chance.randint(0, 2)):
            place = FIELDS[field]
            width = place.stop - place.start
            block[place] = chance.choice(ODD)[:width].ljust(width, chance.choice((b"\0", b" ")))
        made = bytes(block) if chance.random() < 0.05 else with_checksum(bytes(block))
        data = member(b"a", b"1") + made + padded(b"abc") + member(b"b", b"2" * 600) + END
        taken += both(data, chance.choice(list(TarsumVersion)))
    assert taken > 3000  # the first entry of all, and many another


def test_entries_of_every_kind_that_archives_hold_come_the_short_way() -> None:
    data = (
        directory(b"./usr/")
        + member(b"usr/file", b"x" * 5000)
        + member(b"usr/gnu", b"y", magic=GNU)
        + header(b"usr/link", kind=b"2", link=b"file")
        + header(b"dev/null", kind=b"3", major=b"0000001\0", minor=b"0000003\0")
        + header(b"deep", size=octal(0, 12), tail=b"a/long/way")
        + END
    )
    told = Told()
    feed(TarsumSink(told), data)
    assert told.told == []
    assert [file.name for file in told.sums] == [
        b"usr", b"usr/file", b"usr/gnu", b"usr/link", b"dev/null", b"a/long/way/deep",
    ]  # fmt: skip
    assert both(data, TarsumVersion.V0) == 6


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview], ids=lambda kind: kind.__name__)
def test_every_kind_of_chunk_gives_the_same(kind: Callable[[bytes], bytes]) -> None:
    data = b"".join(member(b"f%d" % i, b"c" * 700 * i) for i in range(40)) + END
    sums = []
    for cut in (whole, random_cuts):
        found = Told()
        sink = TarsumSink(found)
        for piece in cut(data):
            sink.write(kind(piece))
        sink.finish()
        sums.append(found.sum())
    plain = Tarsum()
    feed(TarSink(plain, dialect=GO2015), data)
    assert sums == [plain.sum()] * 2


def test_after_an_entry_that_is_not_plain_the_short_way_goes_on() -> None:
    odd = pax((b"mtime", b"1.5")) + member(b"p", b"1") + long_name(b"n" * 200) + member(b"l", b"2")
    told = Told()
    feed(TarsumSink(told), member(b"a") + odd + member(b"b") + odd + member(b"c") + END)
    assert told.told == [b"p", b"n" * 200] * 2
    assert told.count == 7


def test_the_entry_behind_content_that_is_missing_is_not_taken_before_that_is_told() -> None:
    data = pax((b"size", b"9")) + member(b"short", b"12345") + member(b"next") + END
    told = Told()
    with pytest.raises(LayerError, match="missed writing 4 bytes"):
        feed(TarsumSink(told), data)
    assert told.told == [b"short", b"next"]
    both(data, TarsumVersion.V1)
