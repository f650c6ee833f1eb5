"""Which compression a stream has: by its first bytes, by its promise, and never by an outside program."""

import bz2
import lzma

import pytest

from puller.errors import InvalidCompression, LimitExceeded, Unsupported
from puller.stream.inflate import Compression, Inflate, check_compression, sniff
from puller.stream.sink import Counter
from tests.stream.pieces import CUTS, Cut, Kept, feed
from tests.stream.test_inflate import TEXT, gz, inflated, refused, skippable, zs

# -- D7: which compression -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "expected"),
    [(gz(b""), "gzip"), (zs(b""), "zstd"), (skippable(b"", 9), "zstd"), (b"", "none"), (b"BZ", "none"), (TEXT, "none")],
)
def test_d7_streams_are_recognised_by_their_first_bytes(first: bytes, expected: Compression) -> None:
    assert sniff(first[:6]) == expected


@pytest.mark.parametrize("promised", [None, "gzip", "none"])
@pytest.mark.parametrize("first", [b"BZh91AY&SY", b"\xfd7zXZ\0\0"])
@pytest.mark.parametrize("cut", CUTS)
def test_d7_bzip2_and_xz_are_unsupported_and_no_program_is_run(first: bytes, cut: Cut, promised: str | None) -> None:
    with pytest.raises(Unsupported, match="compression"):
        feed(Inflate(Counter(), promised=promised), first, cut)


OLD = {"bzip2": bz2.compress(TEXT), "xz": lzma.compress(TEXT)}


@pytest.mark.parametrize("kind", OLD)
@pytest.mark.parametrize("cut", CUTS)
def test_d7_bzip2_and_xz_are_read_where_they_are_promised(kind: str, cut: Cut) -> None:
    feed(Inflate(kept := Kept(), promised=kind), OLD[kind] * 2, cut)
    assert bytes(kept.content) == TEXT * 2


@pytest.mark.parametrize("kind", OLD)
def test_d7_old_compressions_are_held_to_their_end(kind: str) -> None:
    whole = OLD[kind]
    assert "truncated" in refused(whole[:-9], promised=kind)
    assert "broken" in refused(whole + b"what trails it", promised=kind)
    assert "broken" in refused(whole[:40] + bytes(9) + whole[49:], promised=kind)
    assert inflated(lzma.compress(TEXT) + bytes(8), promised="xz") == TEXT


def test_d6_an_xz_dictionary_that_takes_too_much_memory_is_refused() -> None:
    greedy = lzma.compress(TEXT, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 512 << 20, "mode": lzma.MODE_FAST}])
    with pytest.raises(LimitExceeded, match="dictionary too large"):
        feed(Inflate(Counter(), promised="xz"), greedy)


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_d6_old_compressions_are_bounded_in_output(pack: object) -> None:
    bomb = pack(bytes(4 << 20))  # type: ignore[operator]  # one of the two above
    with pytest.raises(LimitExceeded, match="too large"):
        feed(Inflate(Counter(), promised="bzip2" if pack is bz2.compress else "xz", limit=1 << 20), bomb)


KINDS: dict[Compression, bytes] = {"gzip": gz(TEXT), "zstd": zs(TEXT), "none": TEXT}


@pytest.mark.parametrize("promised", [*KINDS, None])
@pytest.mark.parametrize("found", KINDS)
def test_d7_a_stream_must_be_what_its_media_type_promises(promised: str | None, found: Compression) -> None:
    if promised in (None, found):
        check_compression(promised, found)
        assert inflated(KINDS[found], promised=promised) == TEXT
    else:
        with pytest.raises(InvalidCompression):
            check_compression(promised, found)
        assert promised in refused(KINDS[found], promised=promised)


def test_d7_a_named_compression_is_not_second_guessed() -> None:
    refused(TEXT, compression="gzip")
    refused(gz(TEXT), compression="zstd")
    assert inflated(gz(TEXT), compression="none") == gz(TEXT)
