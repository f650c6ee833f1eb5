"""The 2015 dialect where the recorded vectors do not reach: crashes, endless loops and bounds of the original."""

from itertools import repeat

import pytest

from puller.errors import InvalidArchive, LayerError, LimitExceeded, TruncatedArchive
from puller.stream.go2015 import GO2015, MAX_META_OF_ENTRY, Go2015
from puller.stream.go2015number import header_number, parse_int, parse_time, unix_seconds
from puller.stream.go2015pax import parse_records
from puller.stream.go2015sparse import MAX_FRAGMENTS
from puller.stream.tar import TarSink
from tests.stream.archive import END, header, long_name, member, octal, padded, pax, record, sparse_header
from tests.stream.listing import Listing, listing
from tests.stream.pieces import CUTS, Cut, feed, random_cuts

pytestmark = pytest.mark.slow  # many small tests: for `make test`

NIL = "panic: runtime error: invalid memory address or nil pointer dereference"


def read(data: bytes, cut: Cut = random_cuts) -> Listing:
    return listing(data, dialect=GO2015, cut=cut)


def failure(data: bytes, error: type[LayerError] = InvalidArchive) -> str:
    texts = set()
    for cut in CUTS[:1] + CUTS[2:]:
        with pytest.raises(error) as caught:
            read(data, cut)
        assert type(caught.value) is error
        texts.add(caught.value.what)
    (text,) = texts
    return text


# -- long names ------------------------------------------------------------------------------------------------------


def test_of_a_chain_of_long_names_the_outermost_wins() -> None:
    chain = long_name(b"first") + long_name(b"link", kind=b"K") + long_name(b"second") + long_name(b"x", kind=b"K")
    entry = read(chain + header() + END).entries[0]
    assert (entry.name, entry.linkname) == (b"first", b"link")


def test_a_chain_of_a_hundred_thousand_long_names_needs_no_stack() -> None:
    told, chain = Listing(), long_name(b"n") * 1000
    sink = TarSink(told, dialect=GO2015)
    for _ in range(100):
        sink.write(chain)
    feed(sink, header() + END)
    assert told.names == [b"n"]


@pytest.mark.parametrize(
    "rest",
    [b"", END, bytes(512), header(checksum=b"0000001\0"), header()[:100], long_name(b"again")[:600], pax() + END],
)
def test_whatever_goes_wrong_behind_a_long_name_crashed_the_original(rest: bytes) -> None:
    assert failure(long_name(b"n") + rest) == NIL


def test_a_long_name_that_is_itself_cut_short_is_an_ordinary_truncation() -> None:
    assert failure(long_name(b"n" * 600)[:700], TruncatedArchive) == "unexpected EOF"


def test_the_type_behind_a_pax_header_is_kept_whatever_it_is() -> None:
    found = read(pax((b"path", b"p")) + long_name(b"n") + header(b"f") + END)
    assert [(entry.name, entry.type) for entry in found.entries] == [(b"p", b"L"), (b"f", b"0")]


# -- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"\xff" * 8, 2**63 - 1),
        (b"\xff" * 12, -1),
        (b"\x80" + bytes(6) + b"\x07", 7),
        (b" \0 0017\0 ", 0o17),
        (b"17\x0099999", 0o17),
        (b"\0" * 8, 0),
        (b"7" * 12, 8**12 - 1),
    ],
)
def test_header_numbers_are_read_with_all_their_quirks(field: bytes, value: int) -> None:
    assert header_number(field) == value


@pytest.mark.parametrize("field", [b"8", b"1 2", b"-1", b"+1", b"0o7", b"1_0", b"0x1", b"1\n"])
def test_header_fields_that_are_no_numbers_fail(field: bytes) -> None:
    with pytest.raises(ValueError, match=r"number|base 8"):
        header_number(field)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(b"-1.5", -1), (b"-0.5", 0), (b"3.-5", 2), (b"3.+5", 3), (b"12.", 12), (b"-7", -7), (b"1.9999999999", 1)],
)
def test_fractions_are_added_to_the_seconds_sign_and_all(text: bytes, seconds: int) -> None:
    assert unix_seconds(parse_time(text)) == seconds


@pytest.mark.parametrize("text", [b"", b"1_0", b" 1", b"9223372036854775808", b"-9223372036854775809", b"9" * 5000])
def test_decimal_numbers_are_held_to_64_bits(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"number|range"):
        parse_int(text)


# -- PAX ------------------------------------------------------------------------------------------------------------


def test_the_byte_in_place_of_the_newline_is_not_looked_at() -> None:
    assert parse_records(b"7 k=vv!6 a=b\n"[:7] + b"6 a=b\n") == {b"k": b"vv", b"a": b"b"}


def test_a_length_longer_than_its_record_crashed_the_original() -> None:
    with pytest.raises(InvalidArchive, match=r"slice bounds out of range \[9:4\]"):
        parse_records(b"00000005 a=b\n")


def test_a_value_that_does_not_parse_leaves_the_others_applied() -> None:
    entry = read(pax((b"uid", b"x"), (b"gid", b"7"), (b"mtime", b"?"), (b"size", b"")) + header() + END).entries[0]
    assert (entry.uid, entry.gid, entry.mtime, entry.size) == (1000, 7, 10**10, 0)


def test_e9_an_extension_header_beyond_all_reason_is_refused() -> None:
    for kind in (b"x", b"L", b"K"):
        failure(header(kind=kind, size=2**31) + bytes(512), LimitExceeded)


@pytest.mark.parametrize("kinds", [b"L", b"K", b"LK"])
def test_e9_a_chain_of_long_names_beyond_all_reason_is_refused(kinds: bytes) -> None:
    told, piece = Listing(), b"".join(long_name(b"n" * (1 << 20), kind=bytes([kind])) for kind in kinds)
    sink = TarSink(told, dialect=GO2015)
    with pytest.raises(LimitExceeded, match="too many header blocks"):
        feed(sink, piece, lambda data: repeat(data, MAX_META_OF_ENTRY >> 20))


def test_e9_header_blocks_of_several_entries_are_counted_apart() -> None:
    told, piece = Listing(), long_name(b"n" * ((4 << 20) - 1)) + header()
    sink = TarSink(told, dialect=GO2015)
    for _ in range(20):
        sink.write(piece)
    feed(sink, END)
    assert len(told.entries) == 20


def test_e9_empty_long_names_without_end_are_refused() -> None:
    sink, piece = TarSink(Listing(), dialect=GO2015), header(kind=b"L") * 1000
    with pytest.raises(LimitExceeded, match="too many header blocks"):
        feed(sink, piece, lambda data: repeat(data, MAX_META_OF_ENTRY // len(piece) + 1))


# -- sparse files ------------------------------------------------------------------------------------------------------


def pax_sparse(pieces: list[tuple[int, int]], size: int, stored: bytes) -> bytes:
    numbers = b",".join(b"%d,%d" % piece for piece in pieces)
    records = (
        (b"GNU.sparse.size", b"%d" % size), (b"GNU.sparse.numblocks", b"%d" % len(pieces)),
        (b"GNU.sparse.name", b"s"), (b"GNU.sparse.map", numbers),
    )  # fmt: skip
    return pax(*records) + member(b"x", stored)


@pytest.mark.parametrize(
    ("pieces", "size", "content"),
    [
        ([(2, 3), (8, 2)], 12, b"\0\0abc\0\0\0de\0\0"),
        ([(0, 5), (3, 4)], 9, b"abcdefg\0\0"),  # an overlap goes on where the file is
        ([(0, 2), (5, 0), (6, 3)], 9, b"ab\0\0\0\0cde"),
        ([(0, 20)], 7, b"abcdefghij"),  # at the size of the file its stored bytes may end
        ([(0, 10), (10, 0), (5000, 0)], 10, b"abcdefghij"),
    ],
)
def test_fragments_are_read_in_the_order_of_the_map(pieces: list[tuple[int, int]], size: int, content: bytes) -> None:
    found = read(pax_sparse(pieces, size, b"abcdefghij") + member(b"next") + END)
    assert found.contents[0] == content
    assert found.names == [b"s", b"next"]
    assert found.entries[0].size == size


@pytest.mark.parametrize(
    ("pieces", "size", "error"),
    [
        ([(0, 5), (-1, 3)], 9, "panic: runtime error: slice bounds out of range [:-3]"),
        ([(0, -1)], 9, "panic: runtime error: slice bounds out of range [:-1]"),
        ([(0, 20)], 21, "the 2015 reader waits for ever for content that its sparse map promises"),
    ],
)
def test_maps_on_which_the_original_crashed_or_hung_are_errors(
    pieces: list[tuple[int, int]], size: int, error: str
) -> None:
    assert failure(pax_sparse(pieces, size, b"abcdefghij") + END) == error


def test_a_fragment_beyond_the_file_is_an_unexpected_end() -> None:
    assert failure(pax_sparse([(0, 1), (50, 1)], 9, b"ab") + END, TruncatedArchive) == "unexpected EOF"


def test_a_sparse_map_in_empty_content_ends_the_archive_quietly() -> None:
    records = ((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"9"))
    assert read(member(b"a") + pax(*records) + member(b"s") + member(b"b") + END).names == [b"a"]


def test_an_old_sparse_header_without_its_extension_ends_the_archive_quietly() -> None:
    head = sparse_header([(0, 1)], 9, stored=1, extended=True)
    assert read(member(b"a") + head).names == [b"a"]
    assert failure(member(b"a") + head + bytes(100), TruncatedArchive) == "unexpected EOF"


def test_a_sparse_header_that_pax_makes_sparse_again_crashed_the_original() -> None:
    text = failure(pax_sparse([(0, 1)], 9, b"")[:-512] + sparse_header([(0, 1)], 9, stored=1) + padded(b"x") + END)
    assert text.startswith("panic: interface conversion")


def test_e8_a_hole_that_would_be_hashed_for_hours_is_refused() -> None:
    assert "sparse files too large" in failure(pax_sparse([(0, 1)], 2**62, b"x") + END, LimitExceeded)


def extension(pieces: int, *, more: bool) -> bytes:
    return ((octal(1, 12) + octal(1, 12)) * pieces).ljust(504, b"\0") + bytes([more]) + bytes(7)


def test_e8_an_old_sparse_map_of_too_many_fragments_is_refused_before_it_ends() -> None:
    head = sparse_header([(0, 1)], 9, stored=1, extended=True)
    blocks = MAX_FRAGMENTS // 21 + 1
    with pytest.raises(LimitExceeded, match="too many pieces"):
        TarSink(Listing(), dialect=GO2015).write(head + extension(21, more=True) * blocks)


def test_e8_an_old_sparse_map_of_very_many_fragments_is_still_read() -> None:
    head = sparse_header([(0, 1)], 1, stored=1, extended=True)
    blocks, rest = divmod(MAX_FRAGMENTS - 1, 21)
    chain = extension(21, more=True) * blocks + extension(rest, more=False)
    assert read(head + chain + padded(b"x") + END).contents == [b"x"]


VERSION_1_0 = ((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"9"))


def test_e8_a_claimed_count_of_too_many_fragments_is_refused_without_reading_them() -> None:
    lines = b"%d\n" % (MAX_FRAGMENTS + 1)
    assert "too many pieces" in failure(pax(*VERSION_1_0) + member(b"s", padded(lines)) + END, LimitExceeded)
    records = ((b"GNU.sparse.size", b"9"), (b"GNU.sparse.numblocks", b"%d" % 10**18), (b"GNU.sparse.map", b"0,1"))
    assert "too many pieces" in failure(pax(*records) + member(b"s", b"x") + END, LimitExceeded)


def test_e8_more_fragments_than_are_claimed_are_refused_as_too_many() -> None:
    numbers = b"0" + b",0" * (2 * MAX_FRAGMENTS + 1)
    records = ((b"GNU.sparse.size", b"9"), (b"GNU.sparse.numblocks", b"1"), (b"GNU.sparse.map", numbers))
    with pytest.raises(LimitExceeded, match="too many pieces"):
        feed(TarSink(Listing(), dialect=GO2015), pax(*records) + member(b"s", b"x") + END)


class Stopped(Exception):
    """What a pulse of these tests raises."""


def test_every_mebibyte_of_a_hole_has_its_pulse() -> None:
    pulses: list[None] = []
    dialect = Go2015(pulse=lambda: pulses.append(None))
    data = pax_sparse([(0, 1)], (5 << 20) + 1, b"x") + END
    assert len(listing(data, dialect=dialect).contents[0]) == (5 << 20) + 1
    assert len(pulses) >= 5


def test_what_the_pulse_raises_ends_the_filling_of_a_hole() -> None:
    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        listing(pax_sparse([(0, 1)], 4 << 30, b"x") + END, dialect=Go2015(pulse=stop))


def test_a_map_of_a_negative_count_crashed_the_original() -> None:
    assert failure(pax(*VERSION_1_0) + member(b"s", padded(b"-1\n")) + END).startswith(
        "panic: runtime error: makeslice"
    )


@pytest.mark.parametrize("name", [b"GNU.sparse.size", b"GNU.sparse.numblocks"])
def test_a_sparse_number_that_is_none_is_an_invalid_header(name: bytes) -> None:
    body = pax_sparse([(0, 1)], 9, b"x").replace(record(name, b"9"), record(name, b"?")).replace(
        record(name, b"1"), record(name, b"?")
    )  # fmt: skip
    assert failure(body + END) == "archive/tar: invalid tar header"


def test_old_sparse_fields_that_are_no_numbers_are_an_invalid_header() -> None:
    good = sparse_header([(0, 1)], 9, stored=1)
    bad = good.replace(octal(9, 12), b"x" * 12)
    unsigned = sum(bad[:148]) + sum(bad[156:]) + 8 * 32
    bad = bad[:148] + b"%06o\0 " % unsigned + bad[156:]
    assert failure(bad + padded(b"x") + END) == "archive/tar: invalid tar header"
