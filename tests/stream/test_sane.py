"""The sane dialect: what it tells of honest archives, and that it refuses what readers of tar see differently."""

import re

import pytest

from puller.errors import LayerError, TruncatedArchive
from puller.stream.sane import SANE
from puller.stream.tar import TarSink
from puller.stream.tarentry import Entry
from tests.stream.archive import (
    END,
    GNU,
    POSIX,
    V7,
    directory,
    header,
    long_name,
    member,
    octal,
    padded,
    pax,
    record,
)
from tests.stream.listing import Listing, listing, only, refused
from tests.stream.pieces import feed, single_bytes

ONE = member(b"before", b"x" * 700) + member(b"after", b"yes") + END


# -- honest archives -------------------------------------------------------------------------------------------------


def test_a_ustar_header_is_told_field_by_field() -> None:
    block = header(b"name", kind=b"3", link=b"target", major=b"0000010\0", minor=b"0000003\0", tail=b"some/dir")
    entry = only(block)
    assert entry == Entry(
        name=b"some/dir/name", linkname=b"target", type=b"3", mode=0o644, uid=1000, gid=1001, size=0, mtime=10**10,
        uname=b"user", gname=b"group", devmajor=8, devminor=3, xattrs={}, pax={}, offset=0, stored=0,
    )  # fmt: skip


def test_a_v7_header_has_neither_names_of_owners_nor_a_prefix() -> None:
    entry = only(header(magic=V7, tail=b"prefix"))
    assert (entry.name, entry.uname, entry.gname) == (b"file", b"", b"")


def test_content_and_empty_entries_come_in_archive_order() -> None:
    found = listing(member(b"a", b"1") + directory(b"d/") + member(b"d/b", b"2" * 513) + END)
    assert found.names == [b"a", b"d/", b"d/b"]
    assert found.contents == [b"1", b"", b"2" * 513]
    assert found.finished == 3


def test_offsets_are_those_of_the_first_header_block_of_an_entry() -> None:
    data = member(b"a", b"1") + long_name(b"long") + member(b"b") + member(b"c") + END
    assert [entry.offset for entry in listing(data).entries] == [0, 1024, 1024 + 1536]


def test_raw_and_data_together_are_the_archive_again() -> None:
    data = pax((b"path", b"p")) + member(b"a", b"1" * 1000) + long_name(b"n") + member(b"b") + END + b"trailing"
    for cut in (single_bytes, lambda d: iter((d,))):
        assert listing(data, cut=cut).archive == data


def test_pax_records_rule_over_the_header() -> None:
    records = (
        (b"path", b"p" * 300), (b"linkpath", b"l" * 300), (b"uname", b"\xc3\xbc"), (b"gname", b"g"), (b"uid", b"70000"),
        (b"gid", b"70001"), (b"mtime", b"1700000000.123456789"), (b"comment", b"kept"), (b"SCHILY.xattr.user.a", b"\0"),
    )  # fmt: skip
    long = tuple((key, value[:200] if key == b"path" else value) for key, value in records)
    entry = only(pax(*long) + header(kind=b"2"))
    assert (entry.name, entry.linkname) == (b"p" * 200, b"l" * 300)
    assert (entry.uname, entry.gname, entry.uid, entry.gid) == (b"\xc3\xbc", b"g", 70000, 70001)
    assert entry.mtime == 1_700_000_000_123_456_789
    assert entry.xattrs == {b"user.a": b"\0"}
    assert entry.pax[b"comment"] == b"kept"


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [(b"0", 0), (b"-1.5", -1_500_000_000), (b"12.", 12 * 10**9), (b"1.0000000019", 10**9 + 1), (b"-0.1", -(10**8))],
)
def test_pax_times_are_decimal_numbers(text: bytes, nanoseconds: int) -> None:
    assert only(pax((b"mtime", text)) + header()).mtime == nanoseconds


def test_pax_numbers_may_have_leading_zeros() -> None:
    assert listing(pax((b"size", b"3".rjust(24, b"0"))) + member(b"f", b"abc") + END).contents == [b"abc"]


def test_gnu_long_names_and_links_replace_those_of_the_header() -> None:
    entry = only(long_name(b"n" * 200, kind=b"L") + long_name(b"t" * 2000, kind=b"K") + header(b"cut", kind=b"2"))
    assert (entry.name, entry.linkname) == (b"n" * 200, b"t" * 2000)


def test_base_256_numbers_have_a_sign_and_more_range() -> None:
    entry = only(header(mtime=b"\xff" * 11 + b"\xfe", uid=b"\x80\0\0\0\x80\0\0\0"))
    assert entry.mtime == -2 * 10**9
    assert entry.uid == 2**31


def test_a_gnu_header_keeps_times_where_others_keep_a_prefix() -> None:
    assert only(header(magic=GNU, tail=octal(1, 12) + octal(2, 12))).name == b"file"


def test_a_prefix_under_the_magic_of_gnu_is_taken_as_go_wrote_it() -> None:
    assert only(header(magic=GNU, tail=b"usr/share")).name == b"usr/share/file"


def test_star_headers_have_a_shorter_prefix() -> None:
    tail = b"pre".ljust(131, b"\0") + octal(1, 12) + octal(2, 12) + bytes(8) + b"tar\0"
    assert only(header(tail=tail)).name == b"pre/file"


def test_a_checksum_over_signed_characters_is_accepted() -> None:
    block = header(b"\xff\xfe")
    signed = sum(block) - sum(block[148:156]) + 8 * 32 - 2 * 256
    assert only(header(b"\xff\xfe", checksum=b"%06o\0 " % signed)).name == b"\xff\xfe"


def test_unknown_types_are_told_with_their_content() -> None:
    found = listing(member(b"v", b"content", kind=b"Z") + END)
    assert (found.entries[0].type, found.contents) == (b"Z", [b"content"])


def test_hard_links_have_no_content_whatever_their_size_says() -> None:
    found = listing(header(b"link", kind=b"1", size=700, link=b"to") + member(b"next", b"x") + END)
    assert found.names == [b"link", b"next"]
    assert (found.entries[0].size, found.entries[0].stored) == (0, 0)


# -- E13, E14, E15: global headers, ends -----------------------------------------------------------------------------


def test_e13_global_headers_change_nothing() -> None:
    data = pax((b"mtime", b"77"), (b"comment", b"a commit"), (b"uid", b"0"), kind=b"g")
    plain, behind = listing(ONE), listing(data + ONE)
    assert [e._replace(offset=0) for e in behind.entries] == [e._replace(offset=0) for e in plain.entries]
    assert behind.contents == plain.contents


@pytest.mark.parametrize("key", [b"path", b"linkpath", b"size", b"GNU.sparse.size"])
def test_e13_a_global_header_by_which_others_see_other_members_is_refused(key: bytes) -> None:
    assert "in a global header" in refused(pax((key, b"1"), kind=b"g") + ONE)


def test_e14_every_truncation_is_an_error_or_a_complete_archive() -> None:
    data = pax((b"path", b"long")) + ONE
    borders = {2 * 512 + 512 + 1024: 1, 2 * 512 + 512 + 1024 + 1024: 2}
    for end in range(len(data)):
        told = Listing()
        sink = TarSink(told, dialect=SANE)
        complete = end in (0, len(data) - 512) or end in borders
        if complete:
            feed(sink, data[:end])
            assert len(told.entries) == told.finished == borders.get(end, 0 if end == 0 else 2)
        else:
            with pytest.raises(TruncatedArchive):
                feed(sink, data[:end])


def test_e14_a_wrong_checksum_is_refused() -> None:
    assert "checksum" in refused(member() + header(checksum=b"000001\0 ") + END)
    assert "checksum" in refused(header(b"\xff", checksum=b"000001\0 ") + END)


def test_e14_every_flipped_bit_of_a_header_is_noticed() -> None:
    good = header(b"file", size=0)
    for at in set(range(512)) - set(range(148, 156)):  # but in the checksum, where spaces and zeros are the same
        bad = bytearray(good)
        bad[at] ^= 0x10
        with pytest.raises(LayerError):
            listing(bytes(bad) + END)


def test_e14_a_header_behind_one_zero_block_is_refused() -> None:
    assert "zero block" in refused(member() + bytes(512) + member() + END)


def test_e14_what_follows_the_end_is_told_as_raw_bytes_only() -> None:
    told = listing(ONE + member(b"behind") + b"junk")
    assert told.names == [b"before", b"after"]
    assert told.archive.endswith(member(b"behind") + b"junk")


def test_e14_extensions_without_an_entry_are_refused() -> None:
    for end in (b"", END):
        refused(pax((b"path", b"a")) + end, TruncatedArchive)
        refused(long_name(b"a") + end, TruncatedArchive)
    assert listing(pax((b"comment", b"a"), kind=b"g") + END).entries == []


def test_e15_padding_behind_the_end_is_not_kept() -> None:
    sink = TarSink(Listing(), dialect=SANE)
    sink.write(ONE)
    assert sink.ended
    zeros = bytes(1 << 20)
    for _ in range(64):
        sink.write(zeros)
    sink.finish()
    assert not sink._gathered


def test_a_refusal_says_where() -> None:
    assert re.search(r"at byte 1536\b", refused(member(b"a", b"x" * 600) + header(checksum=b"000001\0 ") + END))


def test_magic_with_other_version_bytes_is_still_posix() -> None:
    assert only(header(magic=POSIX[:6] + b"  ", tail=b"dir")).name == b"dir/file"


def test_a_body_ending_in_one_record_too_short_for_its_newline_is_refused() -> None:
    body = record(b"path", b"x")[:-1]
    refused(header(kind=b"x", size=len(body)) + padded(body) + header() + END)
