"""Headers that say what an entry says, to us and to tarfile, in the shortest form there is."""

import io
import tarfile
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import Unsupported
from puller.stream.sane import SANE
from puller.stream.tar import TarSink
from puller.stream.tarentry import DIRECTORY, HARD_LINK, NO_RECORDS, REGULAR, SYMLINK, Entry, TarListener
from puller.stream.tarfield import padding
from puller.stream.tarwrite import END, decimal, header, record

PARTS = st.binary(min_size=1, max_size=120).map(lambda raw: raw.translate(None, b"/\0") or b"x")
NAMES = st.lists(PARTS.filter(lambda part: part not in (b".", b"..")), min_size=1, max_size=5).map(b"/".join)


class Heard(TarListener):
    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def entry(self, entry: Entry, /) -> None:
        self.entries.append(entry)


def entry(
    name: bytes = b"file",
    kind: bytes = REGULAR,
    link: bytes = b"",
    *,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 0,
    device: tuple[int, int] = (0, 0),
    xattrs: Mapping[bytes, bytes] = NO_RECORDS,
) -> Entry:
    return Entry(name, link, kind, mode, uid, gid, size, mtime, b"", b"", *device, xattrs, NO_RECORDS, 0, size)


def read(archive: bytes) -> Entry:
    heard = Heard()
    sink = TarSink(heard, dialect=SANE)
    sink.write(archive)
    sink.finish()
    (found,) = heard.entries
    return found._replace(pax=NO_RECORDS, offset=0)


@given(
    NAMES, NAMES, st.sampled_from((HARD_LINK, SYMLINK)), st.integers(0, 0o7777), st.integers(0, 2**32 - 2),
    st.integers(0, 2**32 - 2), st.integers(-(2**62), 2**62),
    st.dictionaries(st.binary().map(lambda raw: b"user." + raw.translate(None, b"=\0")), st.binary(), max_size=3),
)  # fmt: skip
def test_what_is_written_is_what_is_read(
    name: bytes, link: bytes, kind: bytes, mode: int, uid: int, gid: int, mtime: int, xattrs: dict[bytes, bytes]
) -> None:
    said = entry(name, kind, link, mode=mode, uid=uid, gid=gid, mtime=mtime, xattrs=xattrs)
    assert read(header(said) + END) == said


@given(NAMES.filter(lambda name: len(name) < 250), st.integers(0, 9))
def test_tarfile_reads_the_same(name: bytes, size: int) -> None:
    raw = header(entry(name, size=size, mtime=10**18 + 500_000_000)) + bytes(size + padding(size)) + END
    with tarfile.open(fileobj=io.BytesIO(raw), encoding="latin-1", errors="strict") as archive:
        (found,) = archive.getmembers()
    pax = "path" in found.pax_headers
    assert found.name.encode("utf-8" if pax else "latin-1", "surrogateescape") == name
    assert (found.size, found.mtime) == (size, 1_000_000_000.5)


@pytest.mark.parametrize(
    "plain",
    [
        entry(b"n" * 100),
        entry(b"d" * 155 + b"/" + b"n" * 100),
        entry(b"d" * 154 + b"/" + b"n" * 98 + b"/", DIRECTORY),
        entry(b"\xff\xfe"),
        entry(link=b"l" * 100, kind=SYMLINK),
        entry(uid=0o7777777, gid=0o7777777),
        entry(mtime=0o77777777777 * 10**9),
        entry(device=(4095, 0o3777777), kind=b"3"),
    ],
)
def test_what_ustar_can_say_needs_one_block(plain: Entry) -> None:
    assert len(header(plain)) == 512
    assert read(header(plain) + END) == plain


@pytest.mark.parametrize(
    ("long", "key"),
    [
        (entry(b"n" * 101), b"path"),
        (entry(b"d" * 156 + b"/n"), b"path"),
        (entry(b"d" * 156 + b"/" + b"n" * 100), b"path"),
        (entry(b"d" * 60 + b"/" + b"n" * 100 + b"/", DIRECTORY), b"path"),
        (entry(link=b"l" * 101, kind=SYMLINK), b"linkpath"),
        (entry(uid=0o10000000), b"uid"),
        (entry(gid=2**32 - 2), b"gid"),
        (entry(mtime=1), b"mtime"),
        (entry(mtime=-1), b"mtime"),
        (entry(mtime=0o100000000000 * 10**9), b"mtime"),
        (entry(xattrs={b"user.a": b"\0\n="}), b"SCHILY.xattr.user.a"),
    ],
)
def test_what_ustar_cannot_say_is_said_in_one_pax_record(long: Entry, key: bytes) -> None:
    raw = header(long)
    assert len(raw) == 3 * 512
    assert raw[512:].split(b" ", 1)[1].startswith(key + b"=")
    assert read(raw + END) == long


def test_a_size_beyond_eight_gigabytes_is_told_by_pax() -> None:
    raw = header(entry(size=2**33))
    assert raw[512:].startswith(b"19 size=8589934592\n")


@pytest.mark.parametrize(
    ("time", "text"),
    [(0, b"0"), (15 * 10**8, b"1.5"), (-15 * 10**8, b"-1.5"), (-1, b"-0.000000001"), (10**18, b"1000000000")],
)
def test_times_are_decimal(time: int, text: bytes) -> None:
    assert decimal(time) == text


@given(st.integers(1, 1100))
def test_a_record_begins_with_its_own_length(size: int) -> None:
    raw = record(b"k", b"v" * size)
    assert int(raw.split(b" ")[0]) == len(raw)


@pytest.mark.parametrize(
    "wrong",
    [entry(b"a\0b"), entry(link=b"a\0", kind=SYMLINK), entry(xattrs={b"user.a=b": b""}), entry(xattrs={b"\0": b""})],
)
def test_what_no_header_can_say_is_refused(wrong: Entry) -> None:
    with pytest.raises(Unsupported):
        header(wrong)


def test_the_same_entry_gives_the_same_bytes_whatever_the_order_of_its_attributes() -> None:
    one, other = {b"user.a": b"1", b"user.b": b"2"}, {b"user.b": b"2", b"user.a": b"1"}
    assert header(entry(xattrs=one)) == header(entry(xattrs=other))
