"""LayerReader: what one pass over a layer shows, in any chunking."""

import gzip
import hashlib
from collections.abc import Iterator

import pytest

from puller.errors import DigestMismatch, InvalidCompression, LimitExceeded, SizeMismatch
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.stream.go2015sparse import MAX_FRAGMENTS
from puller.stream.layer import LayerReader
from puller.stream.sink import Counter, Digester, Tee
from puller.stream.tarsum import Tarsum, TarsumSink
from puller.stream.verifier import BlobVerifier
from tests.stream.archive import END, header, long_name, member, octal, pax, sparse_header
from tests.stream.pieces import CUTS, Cut, feed, whole
from tests.stream.test_inflate import zs

LAYER = member(b"a", b"content") + member(b"b", b"x" * 5000) + END + bytes(4096)


def facts(data: bytes, cut: Cut = whole, *, promised: str | None = None, tarsum: bool = True) -> Facts:
    reader = LayerReader(promised=promised, tarsum=tarsum)
    feed(reader, data, cut)
    return reader.facts


def tarsum_of(data: bytes) -> str:
    found = Tarsum()
    feed(TarsumSink(found), data)
    return found.sum()


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    ("promised", "blob"),
    [("gzip", gzip.compress(LAYER)), ("zstd", zs(LAYER)), ("none", LAYER), (None, gzip.compress(LAYER)), (None, LAYER)],
    ids=["gzip", "zstd", "plain", "gzip unnamed", "plain unnamed"],
)
def test_facts_are_the_same_for_every_compression_and_chunking(promised: str | None, blob: bytes, cut: Cut) -> None:
    assert facts(blob, cut, promised=promised) == Facts(Digest.of(LAYER), len(LAYER), tarsum_of(LAYER))


@pytest.mark.parametrize(
    "tail", [b"junk", bytes(1000), member(b"second") + END, b"\0" * 511 + b"x"], ids=["junk", "nul", "tar", "odd"]
)
def test_d4_the_diff_id_covers_what_follows_the_end_of_the_archive(tail: bytes) -> None:
    found = facts(gzip.compress(LAYER + tail))
    assert found.diff_id == Digest.of(LAYER + tail)
    assert found.unpacked_size == len(LAYER + tail)
    assert found.tarsum == tarsum_of(LAYER)


def test_d4_a_second_gzip_member_is_part_of_the_layer() -> None:
    found = facts(gzip.compress(LAYER) + gzip.compress(b"more"))
    assert found.diff_id == Digest.of(LAYER + b"more")


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"no archive at all" * 100, "not a tar archive: archive/tar: invalid tar header"),
        (b"short", "not a tar archive: unexpected EOF"),
        (member() + header(checksum=b"0000001\0"), "archive/tar: invalid tar header"),
        (member() + member(content=b"x" * 600)[:900], "unexpected EOF"),
        (pax((b"size", b"5000000000")) + header() + END, "archive/tar: missed writing 5000000000 bytes"),
        (member() + long_name(b"n"), "panic: runtime error: invalid memory address or nil pointer dereference"),
    ],
)
@pytest.mark.parametrize("cut", CUTS)
def test_a_refusal_of_the_2015_reader_is_a_fact_and_no_error(archive: bytes, reason: str, cut: Cut) -> None:
    found = facts(gzip.compress(archive), cut)
    assert found == Facts(Digest.of(archive), len(archive), None, reason)


def endless_map() -> bytes:
    block = (octal(1, 12) + octal(1, 12)) * 21 + b"\1" + bytes(7)
    return sparse_header([(0, 1)], 9, stored=1, extended=True) + block * (MAX_FRAGMENTS // 21 + 1)


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (member() + endless_map(), "sparse file in too many pieces"),
        (endless_map(), "not a tar archive: sparse file in too many pieces"),
        (member() + long_name(b"n" * (4 << 20)), "header block too large"),
    ],
    ids=["sparse map", "sparse map first", "long name"],
)
def test_e8_what_only_our_own_bounds_refuse_is_a_fact_and_no_error(archive: bytes, reason: str) -> None:
    assert facts(gzip.compress(archive)) == Facts(Digest.of(archive), len(archive), None, reason)


def test_d6_a_pass_is_stopped_by_its_pulse_in_output_in_holes_and_in_sorting() -> None:
    hole = sparse_header([(1 << 32, 0)], 1 << 32, stored=0) + END
    for archive, beats in ((bytes(8 << 20), 3), (hole, 20), (member(b"same") * 5000 + END, 15)):
        left = iter(range(beats))

        def pulse(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            feed(LayerReader(pulse=pulse), gzip.compress(archive))


def test_without_tarsum_the_facts_say_nothing_of_it() -> None:
    found = facts(LAYER, tarsum=False)
    assert (found.tarsum, found.tarsum_refusal) == (None, None)
    assert found.diff_id == Digest.of(LAYER)


def test_a_sha512_diff_id_is_computed_where_the_config_has_one() -> None:
    reader = LayerReader(promised="none", algorithm="sha512")
    feed(reader, LAYER)
    assert reader.facts.diff_id == Digest.of(LAYER, "sha512")


@pytest.mark.parametrize(
    ("promised", "blob"), [("gzip", LAYER), ("zstd", gzip.compress(LAYER)), ("none", zs(LAYER)), ("gzip", b"")]
)
def test_d7_a_blob_that_is_not_compressed_as_promised_is_refused(promised: str, blob: bytes) -> None:
    with pytest.raises(InvalidCompression):
        facts(blob, promised=promised)


def test_d6_a_layer_that_unpacks_to_more_than_the_limit_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        feed(LayerReader(limit=len(LAYER) - 1), gzip.compress(LAYER))
    feed(LayerReader(limit=len(LAYER)), gzip.compress(LAYER))


def test_an_empty_layer_has_the_diff_id_of_nothing() -> None:
    assert facts(b"") == Facts(Digest.of(b""), 0, f"tarsum.v1+sha256:{hashlib.sha256().hexdigest()}")


# -- the smallest sinks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", CUTS)
def test_a_tee_gives_every_byte_to_each_of_its_sinks(cut: Cut) -> None:
    counter, digester = Counter(), Digester("sha512")
    feed(Tee(counter, digester), LAYER, cut)
    assert (counter.size, digester.size, digester.digest) == (len(LAYER), len(LAYER), Digest.of(LAYER, "sha512"))


def promise(size: int | None = len(LAYER)) -> BlobVerifier:
    return BlobVerifier(Descriptor("application/octet-stream", Digest.of(LAYER), size))


@pytest.mark.parametrize("cut", CUTS)
def test_c8_the_promised_bytes_are_accepted(cut: Cut) -> None:
    for verifier in (promise(), promise(None)):
        feed(verifier, LAYER, cut)
        assert (verifier.size, verifier.digest) == (len(LAYER), Digest.of(LAYER))


def test_c8_the_first_byte_too_many_is_refused_before_the_end() -> None:
    verifier = promise()
    verifier.write(LAYER)
    with pytest.raises(SizeMismatch, match="longer"):
        verifier.write(b"x")


def test_c8_a_short_body_is_named_as_such_before_its_digest() -> None:
    with pytest.raises(SizeMismatch, match="shorter"):
        feed(promise(), LAYER[:-1])


def test_c1_other_bytes_of_the_same_length_have_another_digest() -> None:
    with pytest.raises(DigestMismatch) as caught:
        feed(promise(), b"x" + LAYER[1:])
    assert caught.value.wanted == Digest.of(LAYER)
    with pytest.raises(DigestMismatch):
        feed(promise(None), LAYER + b"x")
