"""Which compression a stream has: by its first bytes, by its promise, and never by an outside program."""

import pytest

from puller.errors import InvalidCompression, Unsupported
from puller.stream.inflate import Compression, Inflate, check_compression, sniff
from puller.stream.sink import Counter
from tests.stream.pieces import CUTS, Cut, feed
from tests.stream.test_inflate import TEXT, gz, inflated, refused, skippable, zs

# -- D7: which compression -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "expected"),
    [(gz(b""), "gzip"), (zs(b""), "zstd"), (skippable(b"", 9), "zstd"), (b"", "none"), (b"BZ", "none"), (TEXT, "none")],
)
def test_d7_streams_are_recognised_by_their_first_bytes(first: bytes, expected: Compression) -> None:
    assert sniff(first[:6]) == expected


@pytest.mark.parametrize("first", [b"BZh91AY&SY", b"\xfd7zXZ\0\0"])
@pytest.mark.parametrize("cut", CUTS)
def test_d7_bzip2_and_xz_are_unsupported_and_no_program_is_run(first: bytes, cut: Cut) -> None:
    with pytest.raises(Unsupported, match="compression"):
        feed(Inflate(Counter()), first, cut)


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
