"""What the sane dialect refuses: sizes that lie, archives with two readings, bombs, odd bytes and numbers."""

import pytest

from puller.errors import LimitExceeded, TruncatedArchive, Unsupported
from puller.stream.sane import Sane
from tests.stream.archive import END, header, long_name, member, octal, pax
from tests.stream.listing import listing, only, refused

ONE = member(b"after", b"content") + END


# -- E4, E5: sizes that lie ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [b"\xff" * 10 + b"\xfe\0", b"\xff" * 12])
def test_e4_a_negative_size_is_refused(size: bytes) -> None:
    assert "negative" in refused(member() + header(size=size) + END)


@pytest.mark.parametrize("value", [b"-1", b"+1", b"", b"1.5", b"0x10", b"9" * 30, b"9223372036854775808", b"1_0"])
def test_e4_a_pax_size_that_is_no_decimal_number_is_refused(value: bytes) -> None:
    refused(pax((b"size", value)) + header(size=512) + bytes(512) + END)


def test_e5_a_huge_size_with_short_content_is_an_error_at_once() -> None:
    size = b"\x80" + (2**45).to_bytes(11, "big")
    assert "early" in refused(header(size=size) + bytes(512), TruncatedArchive)


# -- E6, E7: one archive, two readings -------------------------------------------------------------------------------


def test_e6_an_old_file_is_a_directory_only_by_its_final_name() -> None:
    assert only(long_name(b"dir/") + header(b"file", kind=b"\0")).type == b"5"
    assert only(long_name(b"file") + header(b"dir/", kind=b"\0")).type == b"0"
    assert only(header(b"dir/", kind=b"\0")).type == b"5"


def test_e6_content_behind_an_old_directory_is_refused() -> None:
    refused(member(b"dir/", b"content", kind=b"\0") + END)


@pytest.mark.parametrize("kind", [b"0", b"7"])
def test_e6_a_regular_file_whose_name_ends_in_a_slash_is_refused(kind: bytes) -> None:
    assert "slash" in refused(member(b"file/", b"content", kind=kind) + END)


@pytest.mark.parametrize("field", ["major", "minor"])
def test_e7_a_device_number_that_is_none_is_refused_for_every_type(field: str) -> None:
    assert "octal" in refused(header(**{field: b"58"}) + END)
    assert only(header(**{field: b""})).devmajor == 0


def test_e7_a_prefix_that_star_and_others_end_differently_is_refused() -> None:
    assert "star" in refused(header(tail=b"p" * 131 + octal(1, 12) * 2 + bytes(8) + b"tar\0") + END)


def test_e7_the_pax_size_rules_what_is_skipped() -> None:
    hidden = member(b"hidden", b"x")
    found = listing(pax((b"size", b"%d" % len(hidden))) + header(b"outer") + hidden + member(b"next") + END)
    assert found.names == [b"outer", b"next"]
    assert found.contents[0] == hidden


def test_e7_sizes_that_disagree_are_refused() -> None:
    assert "size" in refused(pax((b"size", b"1024")) + header(size=512) + bytes(1024) + END)


def test_e7_a_size_said_twice_the_same_is_accepted() -> None:
    assert listing(pax((b"size", b"3")) + member(b"f", b"abc") + END).contents == [b"abc"]


@pytest.mark.parametrize("kind", [b"2", b"3", b"4", b"5", b"6"])
def test_e7_content_behind_a_type_without_content_is_refused(kind: bytes) -> None:
    assert "content" in refused(member(b"x", b"content", kind=kind) + END)


def test_e7_a_hard_link_with_a_pax_size_is_refused() -> None:
    refused(pax((b"size", b"512")) + header(kind=b"1", link=b"to") + bytes(512) + END)


@pytest.mark.parametrize(
    "extensions",
    [
        pax((b"path", b"a")) + pax((b"path", b"b")),
        long_name(b"a") + long_name(b"b"),
        long_name(b"a", kind=b"K") + long_name(b"b", kind=b"K"),
        pax((b"path", b"a")) + long_name(b"b"),
        long_name(b"a", kind=b"K") + pax((b"linkpath", b"b")),
        pax((b"path", b"a")) + pax((b"comment", b"b"), kind=b"g"),
        long_name(b"a") + pax((b"comment", b"b"), kind=b"g"),
    ],
)
def test_e7_extensions_that_readers_order_differently_are_refused(extensions: bytes) -> None:
    refused(extensions + header(kind=b"2") + END)


def test_e7_a_long_link_beside_a_pax_path_is_no_conflict() -> None:
    entry = only(pax((b"path", b"p")) + long_name(b"l", kind=b"K") + header(kind=b"2"))
    assert (entry.name, entry.linkname) == (b"p", b"l")


@pytest.mark.parametrize(
    "body",
    [
        b"6 a=b\nx", b"no length", b"5 ab\n", b"06 a=b", b"99 a=b\n", b"+6 a=b\n", b"-6 a=b\n", b"6 a=bx", b"6 =ab\n",
        b"0 a=b\n", b"2 a=b\n", b" 6 a=b\n", b"6  a=b\n\0", b"\0" * 10, b"12345678901 a=b\n",
    ],
)  # fmt: skip
def test_e7_a_malformed_record_is_refused(body: bytes) -> None:
    refused(member(b"x", body, kind=b"x") + header() + END)
    refused(member(b"g", body, kind=b"g") + header() + END)


@pytest.mark.parametrize("key", [b"path", b"linkpath", b"uid", b"gid", b"size", b"mtime"])
def test_e7_an_empty_value_which_readers_take_differently_is_refused(key: bytes) -> None:
    assert "empty value" in refused(pax((key, b"")) + header() + END)


def test_e7_the_last_of_equal_records_wins() -> None:
    assert only(pax((b"path", b"one"), (b"path", b"two")) + header()).name == b"two"


def test_e7_a_long_name_that_goes_on_behind_its_end_is_refused() -> None:
    refused(member(b"L", b"name\0more\0", kind=b"L") + header() + END)
    refused(member(b"L", b"\0", kind=b"L") + header() + END)


def test_e7_a_long_name_that_goes_on_in_its_padding_is_refused() -> None:
    cut_short = header(b"././@LongLink", kind=b"L", size=3) + b"longer".ljust(512, b"\0")
    assert "long name" in refused(cut_short + ONE)


def test_e7_a_hard_link_of_some_size_behind_a_pax_header_is_refused() -> None:
    refused(pax((b"comment", b"x")) + header(kind=b"1", size=512, link=b"file") + ONE)


@pytest.mark.parametrize("key", [b"SCHILY.realsize", b"SUN.holesdata"])
def test_e7_records_that_make_a_sparse_file_only_to_some_readers_are_unsupported(key: bytes) -> None:
    refused(pax((key, b"1")) + ONE, Unsupported)


def test_e7_solaris_headers_are_refused_because_others_read_them_as_files() -> None:
    refused(pax((b"path", b"a"), kind=b"X") + header() + END, Unsupported)


# -- E9, E10: bombs --------------------------------------------------------------------------------------------------


def test_e9_a_record_above_the_limit_is_refused_before_it_is_read() -> None:
    for kind in (b"x", b"g", b"L", b"K"):
        refused(header(kind=kind, size=2**30) + bytes(512), LimitExceeded)


def test_e9_a_chain_of_extension_headers_is_refused() -> None:
    refused(pax((b"comment", b"x"), kind=b"g") * 9 + header() + END, LimitExceeded)


@pytest.mark.parametrize("name", [b"n" * 4097, b"/".join([b"n" * 200] * 21), b"a/" + b"n" * 256 + b"/b", b"n" * 256])
def test_e9_a_name_no_file_system_takes_is_refused(name: bytes) -> None:
    refused(pax((b"path", name)) + header() + END, LimitExceeded)
    refused(long_name(name) + header() + END, LimitExceeded)


def test_e9_the_longest_name_is_accepted() -> None:
    name = b"/".join([b"n" * 255] * 16)
    assert len(name) == 4095
    assert only(long_name(name) + header()).name == name


def test_e9_a_link_name_above_the_limit_is_refused() -> None:
    refused(long_name(b"t" * 4097, kind=b"K") + header(kind=b"2") + END, LimitExceeded)


def test_e10_too_many_entries_are_refused_and_as_many_as_allowed_are_not() -> None:
    assert len(listing(member() * 5 + END, dialect=Sane(max_entries=5)).entries) == 5
    with pytest.raises(LimitExceeded):
        listing(member() * 6 + END, dialect=Sane(max_entries=5))


# -- E11, E12: bytes and numbers -------------------------------------------------------------------------------------


def test_e11_every_byte_but_nul_may_stand_in_a_name() -> None:
    every = bytes(range(1, 256)).replace(b"/", b"")
    assert only(pax((b"path", every)) + header()).name == every
    assert only(long_name(every) + header()).name == every
    assert only(header(every[:100])).name == every[:100]


@pytest.mark.parametrize("key", [b"path", b"linkpath", b"uname", b"gname"])
def test_e11_nul_in_a_pax_name_is_refused(key: bytes) -> None:
    assert "NUL" in refused(pax((key, b"a\0b")) + header(kind=b"2") + END)


@pytest.mark.parametrize("name", [b"", b"user\0.x"])
def test_e11_a_nameless_xattr_or_one_with_nul_is_refused(name: bytes) -> None:
    refused(pax((b"SCHILY.xattr." + name, b"v")) + header() + END)


@pytest.mark.parametrize(("field", "value"), [(b"0000644 ", 0o644), (b"   644 \0", 0o644), (b"644", 0o644), (b"", 0)])
def test_e12_octal_numbers_may_be_filled_with_spaces_and_nul(field: bytes, value: int) -> None:
    assert only(header(mode=field)).mode == value


@pytest.mark.parametrize("field", [b"99", b"-1", b"+1", b"1 2", b"0o644", b"12x", b"1_0", b"\xff" * 8, b"\x0012"])
def test_e12_what_is_no_number_is_refused(field: bytes) -> None:
    for name in ("mode", "uid", "gid"):
        refused(header(**{name: field}) + END)


@pytest.mark.parametrize("owner", [2**32 - 1, 2**32, 2**33, 2**62])
def test_e12_an_owner_that_could_become_minus_one_is_refused(owner: int) -> None:
    refused(pax((b"uid", b"%d" % owner)) + header() + END)
    refused(header(gid=b"\x80" + owner.to_bytes(7, "big") if owner < 2**56 else b"\xff" * 8) + END)


def test_e12_the_largest_owner_is_accepted() -> None:
    assert only(pax((b"uid", b"%d" % (2**32 - 2))) + header()).uid == 2**32 - 2


@pytest.mark.parametrize("value", [b"NaN", b"inf", b"1e30", b"9" * 25, b".5", b"1,5", b" 1", b"--1", b"1.-5"])
def test_e12_a_time_that_is_no_decimal_number_is_refused(value: bytes) -> None:
    assert "mtime" in refused(pax((b"mtime", value)) + header() + END)
