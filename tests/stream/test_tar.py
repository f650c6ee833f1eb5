"""The framing of tar parsers, and the sane dialect beside other readers: tarfile, GNU tar, bsdtar."""

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puller.errors import PullerError
from puller.stream.go2015 import GO2015
from puller.stream.sane import SANE, Sane
from puller.stream.tar import Dialect, TarParser, TarSink
from puller.stream.tarentry import Data, EndOfEntry, Entry, Raw, TarEvent
from tests.stream.archive import END, GNU, directory, header, long_name, member, pax
from tests.stream.listing import Listing, listing
from tests.stream.pieces import CUTS, feed, single_bytes, whole
from tests.stream.test_tarsum import CASES, golden

MIXED = (
    directory(b"d/")
    + member(b"d/small", b"s")
    + pax((b"path", b"d/" + b"long" * 40), (b"SCHILY.xattr.user.k", b"v"))
    + member(b"d/cut", b"p" * 3000)
    + long_name(b"d/" + b"name" * 50)
    + member(b"d/cut", b"l" * 512, magic=GNU)
    + header(b"d/link", kind=b"2", link=b"small")
    + END
    + bytes(2048)
)


@pytest.mark.parametrize("dialect", [SANE, GO2015])
def test_every_chunking_tells_the_same(dialect: Sane) -> None:
    told = [listing(MIXED, dialect=dialect, cut=cut) for cut in CUTS]
    for one, other in pairwise(told):
        assert one == other
    assert len(told[0].entries) == 5
    assert told[0].archive == MIXED


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, len(MIXED) - 1), max_size=12))
def test_any_cuts_tell_the_same(at: list[int]) -> None:
    edges = [0, *sorted(set(at)), len(MIXED)]
    for dialect in (SANE, GO2015):
        told = Listing()
        sink = TarSink(told, dialect=dialect, raw=True)
        for start, end in pairwise(edges):
            sink.write(memoryview(MIXED)[start:end])
        sink.finish()
        assert told == listing(MIXED, dialect=dialect)


def events(data: bytes, cut: int) -> Iterator[TarEvent]:
    parser = TarParser(SANE)
    for at in range(0, len(data), cut):
        yield from parser.feed(data[at : at + cut])
    yield from parser.finish()


def test_events_come_in_the_order_of_the_archive() -> None:
    data = member(b"a", b"xy") + member(b"b") + END
    shapes = [type(event) for event in events(data, len(data))]
    assert shapes == [Raw, Entry, Data, Raw, EndOfEntry, Raw, Entry, EndOfEntry, Raw, Raw]


@pytest.mark.parametrize("cut", [1, 100, 512, 10_000])
def test_events_put_the_archive_together_again(cut: int) -> None:
    chunks = [bytes(event.chunk) for event in events(MIXED, cut) if isinstance(event, Data | Raw)]
    assert b"".join(chunks) == MIXED


def test_several_listeners_hear_the_same() -> None:
    one, other = Listing(), Listing()
    feed(TarSink(one, other, dialect=SANE, raw=True), MIXED)
    assert one == other == listing(MIXED)


def test_raw_bytes_are_told_only_where_they_are_asked_for() -> None:
    told = Listing()
    feed(TarSink(told, dialect=SANE), MIXED)
    assert told.archive == b"".join(told.contents)


def test_content_is_handed_on_as_it_comes_and_not_gathered() -> None:
    told = Listing()
    sink = TarSink(told, dialect=SANE)
    sink.write(header(b"big", size=1 << 32))
    for _ in range(3):
        sink.write(b"x" * 1000)
    assert told.contents == [b"x" * 3000]
    assert not sink._gathered


def test_a_chunk_may_be_used_again_after_the_call() -> None:
    told, buffer = Listing(), bytearray(100)
    sink = TarSink(told, dialect=SANE, raw=True)
    for at in range(0, len(MIXED), 100):
        piece = MIXED[at : at + 100]
        buffer[: len(piece)] = piece
        sink.write(memoryview(buffer)[: len(piece)])
        buffer[:] = b"\xee" * 100
    sink.finish()
    assert told == listing(MIXED)


# -- beside other readers --------------------------------------------------------------------------------------------


def by_tarfile(data: bytes) -> list[tuple[bytes, bytes, int, int, int, bytes]]:
    found = []
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as archive:
        for info in archive:
            file = archive.extractfile(info) if info.isreg() else None
            name = info.name.encode("utf-8", "surrogateescape")
            link = info.linkname.encode("utf-8", "surrogateescape") if info.islnk() or info.issym() else b""
            found.append((name, link, info.mode, info.uid, int(info.mtime // 1), file.read() if file else b""))
    return found


def by_us(found: Listing) -> list[tuple[bytes, bytes, int, int, int, bytes]]:
    """The same of ours: only links have a target there, and only files content."""
    return [
        (
            entry.name.rstrip(b"/") or entry.name,
            entry.linkname if entry.type in (b"1", b"2") else b"",
            entry.mode,
            entry.uid,
            entry.mtime // 10**9,
            content if entry.type in (b"0", b"7") else b"",
        )
        for entry, content in zip(found.entries, found.contents, strict=True)
    ]


names = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=60).filter(
    lambda name: name.strip() and len(name.encode()) <= 200
)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.lists(st.tuples(names, st.binary(max_size=1500), st.integers(0, 0o7777), st.integers(0, 2**21 - 1)), max_size=6),
)
def test_e7_archives_of_tarfile_are_told_as_tarfile_reads_them(
    form: int, files: list[tuple[str, bytes, int, int]]
) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form, encoding="utf-8") as archive:
        for name, content, mode, uid in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid, info.mtime = len(content), mode, uid, uid * 3
            try:
                archive.addfile(info, io.BytesIO(content))
            except ValueError:
                continue  # too long for ustar
    data = stream.getvalue()
    assert by_us(listing(data)) == by_tarfile(data)


# tarfile takes a prefix from every header whatever its magic says (also where GNU tar keeps times), and it applies
# global headers; GNU tar and Go agree with us about the prefix.
READ_OTHERWISE_BY_TARFILE = {
    "prefix_v7_ignored",
    "unknown_magic",
    "gnu_atime_ctime",
    "gnutar_gnu_incremental",
    "pax_global_path",
}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_e7_odd_archives_are_read_as_tarfile_reads_them_or_refused(case: dict[str, str]) -> None:
    data = golden()[case["file"]]
    try:
        ours = by_us(listing(data, dialect=Sane(sparse=True)))
        theirs = by_tarfile(data)
    except (PullerError, tarfile.TarError):
        return
    assert (ours == theirs) is (case["name"] not in READ_OTHERWISE_BY_TARFILE)


def test_e7_odd_archives_are_not_all_refused() -> None:
    read = 0
    for case in CASES:
        try:
            listing(golden()[case["file"]], dialect=Sane(sparse=True))
            read += 1
        except PullerError:
            continue
    assert read > 150


# GNU tar applies global headers, which we do not (THREATS E13). GNU's magic over a ustar prefix is what Go wrote before
# 1.8: container programs read it as we do. bsdtar takes a prefix behind any magic that begins with "ustar".
LISTED_OTHERWISE = {"pax_global_path", "prefix_gnu", "unknown_magic"}
PLAIN = re.compile(rb"[!-\[\]-~]+( [!-\[\]-~]+)*")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["tar", "--quoting-style=literal", "-tf", "-"], ["bsdtar", "-tf", "-"]], ids=["gnutar", "bsdtar"]
)
def test_e7_names_agree_with_other_programs_or_the_archive_is_refused(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    compared = 0
    for case in CASES:
        data = golden()[case["file"]]
        try:
            ours = listing(data, dialect=Sane(sparse=True)).names
        except PullerError:
            continue
        done = subprocess.run(command, input=data, capture_output=True, timeout=20, check=False)
        if done.returncode or case["name"] in LISTED_OTHERWISE or not all(PLAIN.fullmatch(name) for name in ours):
            continue
        compared += 1
        theirs = done.stdout.splitlines()
        assert [name.rstrip(b"/") for name in theirs] == [name.rstrip(b"/") for name in ours], case["name"]
    assert compared > 100


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(MIXED) - 1), st.integers(0, 255), st.sampled_from([SANE, Sane(sparse=True), GO2015]))
def test_a4_any_changed_byte_ends_in_a_typed_error_or_in_the_same_reading_for_every_chunking(
    at: int, value: int, dialect: Dialect
) -> None:
    data = bytearray(MIXED)
    data[at] = value
    outcomes: list[object] = []
    for cut in (whole, single_bytes):
        told = Listing()
        try:
            feed(TarSink(told, dialect=dialect), bytes(data), cut)
            outcomes.append(told)
        except PullerError as error:
            outcomes.append((type(error), str(error), told.entries))
    assert outcomes[0] == outcomes[1]
