"""Inflate: gzip, zstd and plain streams in any chunking, and everything broken or hostile about them."""

import gzip
import random
import struct
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puller.errors import InvalidCompression, LayerError, LimitExceeded
from puller.stream import codec
from puller.stream.codec import Decompressor, ZlibMember, gzip_header
from puller.stream.inflate import (
    MEMBER_AVERAGE,
    OUTPUT_CHUNK,
    SHORT_MEMBERS,
    Inflate,
)
from puller.stream.sink import Counter
from tests.stream.pieces import CUTS, Cut, Kept, feed, random_cuts, single_bytes, whole

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"".join(b"line %d of many\n" % i for i in range(3000))
NOISE = random.Random(7).randbytes(20_000)


def gz(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def zs(content: bytes, window_log: int = 20) -> bytes:
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: window_log,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(content) + compressor.flush()


def skippable(payload: bytes, kind: int = 0) -> bytes:
    return struct.pack("<II", 0x184D2A50 + kind, len(payload)) + payload


def inflated(data: bytes, cut: Cut = whole, **options: object) -> bytes:
    kept = Kept()
    feed(Inflate(kept, **options), data, cut)  # type: ignore[arg-type]  # options as the caller's test spells them
    assert kept.finished == 1
    assert kept.longest <= max(OUTPUT_CHUNK, len(data))
    return bytes(kept.content)


def refused(data: bytes, error: type[LayerError] = InvalidCompression, cut: Cut = whole, **options: object) -> str:
    with pytest.raises(error) as caught:
        inflated(data, cut, **options)
    return str(caught.value)


# -- honest streams --------------------------------------------------------------------------------------------------

STREAMS = {
    "gzip": (gz(TEXT), TEXT),
    "gzip noise": (gz(NOISE), NOISE),
    "gzip nothing": (gz(b""), b""),
    "gzip members": (gz(TEXT) + gz(b"") + gz(NOISE), TEXT + NOISE),
    "gzip padded": (gz(TEXT) + bytes(1000), TEXT),
    "zstd": (zs(TEXT), TEXT),
    "zstd noise": (zs(NOISE), NOISE),
    "zstd nothing": (zs(b""), b""),
    "zstd frames": (zs(TEXT) + skippable(b"toc") + zs(NOISE) + skippable(b""), TEXT + NOISE),
    "zstd skippable first": (skippable(NOISE, 15) + zs(TEXT), TEXT),
    "plain": (TEXT, TEXT),
    "plain short": (b"abc", b"abc"),
    "plain nothing": (b"", b""),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", STREAMS)
def test_every_stream_is_inflated_whole_in_any_chunking(name: str, cut: Cut) -> None:
    data, expected = STREAMS[name]
    assert inflated(data, cut) == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=5), st.integers(0, 2**32), st.booleans())
def test_any_members_cut_anywhere_give_their_contents_joined(parts: list[bytes], seed: int, use_zstd: bool) -> None:
    data = b"".join((zs if use_zstd else gz)(part) for part in parts)
    assert inflated(data, lambda d: random_cuts(d, seed)) == b"".join(parts)


def test_what_was_recognised_can_be_asked_for() -> None:
    for data, expected in ((gz(b"x"), "gzip"), (zs(b"x"), "zstd"), (b"plain text", "none")):
        machine = Inflate(Counter())
        feed(machine, data)
        assert (machine.compression, machine.size) == (expected, 1 if expected != "none" else 10)


def test_a_large_stream_comes_in_bounded_chunks_whatever_its_ratio() -> None:
    kept = Kept()
    feed(Inflate(kept), gz(bytes(8 << 20)))
    assert len(kept.content) == 8 << 20
    assert kept.longest <= OUTPUT_CHUNK


def test_a_chunk_may_be_used_again_after_the_call() -> None:
    for data, expected in STREAMS.values():
        kept, buffer = Kept(), bytearray(700)
        machine = Inflate(kept)
        for at in range(0, len(data), 700):
            piece = data[at : at + 700]
            buffer[: len(piece)] = piece
            machine.write(memoryview(buffer)[: len(piece)])
            buffer[:] = b"\xee" * 700
        machine.finish()
        assert kept.content == expected


# -- D5: members, padding, headers, trailers -------------------------------------------------------------------------


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("make", [gz, zs])
def test_d5_every_truncation_is_refused(make: object, cut: Cut) -> None:
    data = (gz if make is gz else zs)(TEXT[:400])
    for end in range(6, len(data)):
        assert "truncated" in refused(data[:end], cut=cut)
        assert "truncated" in refused(data + data[:end], cut=cut)


def test_d5_a_promised_stream_that_is_empty_is_truncated() -> None:
    refused(b"", compression="gzip")
    refused(b"", compression="zstd")
    refused(b"\x1f\x8b")


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("junk", [b"junk", b"\x1f\x8b\x07 not deflate", bytes(100) + b"x", bytes(600) + gz(b"member")])
def test_d5_junk_behind_the_last_member_is_refused(junk: bytes, cut: Cut) -> None:
    assert "broken gzip stream" in refused(gz(TEXT) + junk, cut=cut)


@pytest.mark.parametrize("junk", [b"junk", bytes(100), gz(b"other")])
def test_d5_junk_behind_the_last_frame_is_refused(junk: bytes) -> None:
    assert "broken zstd stream" in refused(zs(TEXT) + junk)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("back", [1, 4, 5, 8])
def test_d5_a_wrong_crc_or_size_is_refused(back: int, cut: Cut) -> None:
    data = bytearray(gz(TEXT))
    data[-back] ^= 1
    assert "broken gzip stream" in refused(bytes(data), cut=cut)
    assert "broken gzip stream" in refused(gz(b"fine") + bytes(data), cut=cut)


def test_d5_a_wrong_zstd_checksum_is_refused() -> None:
    data = bytearray(zs(TEXT))
    data[-1] ^= 1
    assert "broken zstd stream" in refused(bytes(data))


def headed(flags: int, optional: bytes = b"", crc: int | None = None, content: bytes = TEXT) -> bytes:
    head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(5) + b"\xff" + optional
    check = b"" if not flags & 2 else struct.pack("<H", zlib.crc32(head) & 0xFFFF if crc is None else crc)
    return head + check + gz(content)[10:]


HEADERS = {
    "name": headed(8, b"layer.tar\0"),
    "comment": headed(16, b"comment\0"),
    "extra": headed(4, b"\x03\0abc"),
    "extra nothing": headed(4, b"\0\0"),
    "checksum": headed(2),
    "all": headed(1 | 2 | 4 | 8 | 16, b"\x03\0a\0cname\0comment\0"),
    "long": headed(4 | 8, b"\xff\xff" + bytes(65535) + b"n" * 30_000 + b"\0"),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", HEADERS)
def test_d5_optional_header_fields_are_passed_over_in_any_chunking(name: str, cut: Cut) -> None:
    if name == "long" and cut is single_bytes:
        cut = random_cuts
    assert inflated(HEADERS[name], cut) == TEXT
    assert inflated(gz(b"first") + HEADERS[name], cut) == b"first" + TEXT


def test_d5_headers_no_rfc_allows_are_refused() -> None:
    assert "header checksum" in refused(headed(2, crc=0xDEAD))
    assert "reserved" in refused(headed(0x20))
    assert "reserved" in refused(headed(0x80))
    assert "gzip header" in refused(b"\x1f\x8b\x07" + gz(TEXT)[3:])
    assert "too long" in refused(headed(8, b"n" * (1 << 18) + b"\0"))


def test_gzip_headers_that_are_not_all_there_ask_for_more() -> None:
    for data in HEADERS.values():
        length = gzip_header(data)
        assert length is not None
        assert all(gzip_header(data[:end]) is None for end in (*range(1, min(length, 40)), length - 1))


def test_d5_a_hundred_thousand_empty_members_are_refused_quickly() -> None:
    data = gz(b"") * 100_000
    started = time.process_time()
    refused(data, LimitExceeded)
    assert time.process_time() - started < 1


def test_d5_many_short_members_take_linear_time() -> None:
    data = gz(b"x" * MEMBER_AVERAGE) * 30_000
    started = time.process_time()
    assert len(inflated(data)) == MEMBER_AVERAGE * 30_000
    assert time.process_time() - started < 3


@pytest.mark.parametrize("make", [gz, zs])
def test_d5_members_without_number_of_next_to_nothing_are_refused(make: Callable[[bytes], bytes]) -> None:
    assert inflated(make(b"x") * SHORT_MEMBERS) == b"x" * SHORT_MEMBERS
    assert "members too short" in refused(make(b"x") * (SHORT_MEMBERS + 1), LimitExceeded)
    short = make(b"x" * (MEMBER_AVERAGE - 1))
    assert "members too short" in refused(short * (SHORT_MEMBERS + 1), LimitExceeded)


def test_d5_the_blocks_of_pigz_and_bgzf_are_members_of_honest_length() -> None:
    # bgzf: at most 64 KiB a member, each with an extra field of its length, and an empty one as the end mark.
    block = headed(4, b"\x06\0BC\x02\0\0\0", content=bytes(65280))
    counter = Counter()
    feed(Inflate(counter), block * (SHORT_MEMBERS + 100) + gz(b""))
    assert counter.size == 65280 * (SHORT_MEMBERS + 100)


def test_d5_estargz_with_files_of_one_byte_is_of_honest_length() -> None:
    # A member for each file's content, and one for its padding with the next file's header.
    data = (gz(b"x") + gz(bytes(511 + 512))) * SHORT_MEMBERS
    counter = Counter()
    feed(Inflate(counter), data)
    assert counter.size == 1024 * SHORT_MEMBERS


@pytest.mark.parametrize("member", [zs(b""), skippable(b""), skippable(b"x" * 50)])
def test_d9_a_hundred_thousand_frames_of_nothing_are_refused_quickly(member: bytes) -> None:
    started = time.process_time()
    refused(zs(TEXT) + member * 100_000, LimitExceeded)
    assert time.process_time() - started < 1


# -- D6, D9: bombs ---------------------------------------------------------------------------------------------------


def test_d6_output_above_the_limit_is_refused_before_it_is_handed_on() -> None:
    for data in (gz(bytes(1 << 20)), zs(bytes(1 << 20)), bytes(1 << 20)):
        kept = Kept()
        with pytest.raises(LimitExceeded, match="too large"):
            feed(Inflate(kept, limit=1 << 19), data)
        assert len(kept.content) <= 1 << 19
        assert len(inflated(data, limit=1 << 20)) == 1 << 20


def test_d6_a_ratio_above_the_limit_is_refused_only_after_sixteen_mebibytes() -> None:
    assert len(inflated(gz(bytes(16 << 20)), max_ratio=100)) == 16 << 20
    assert "expands" in refused(gz(bytes(17 << 20)), LimitExceeded, max_ratio=100)


def test_d6_honest_zeros_pass_by_default() -> None:
    for data in (gz(bytes(64 << 20)), zs(bytes(64 << 20))):
        counter = Counter()
        feed(Inflate(counter), data)
        assert counter.size == 64 << 20


@pytest.mark.slow
def test_d6_ten_gigabytes_of_zeros_are_stopped_with_little_memory() -> None:
    member = gz(bytes(100 << 20))
    counter = Counter()
    machine = Inflate(counter, limit=2 << 30)
    tracemalloc.start()
    with pytest.raises(LimitExceeded):
        feed(machine, member * 100, lambda data: (data[at : at + 65536] for at in range(0, len(data), 65536)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counter.size <= 2 << 30
    assert peak < 20 << 20


def test_d6_a_zstd_window_beyond_the_default_is_refused() -> None:
    # A frame header without content size asks for its window: 2^31 bytes.
    frame = zs(NOISE, window_log=31)
    assert "window" in refused(frame, LimitExceeded)
    assert inflated(zs(NOISE, window_log=27)) == NOISE


def test_d6_layers_in_layers_are_not_inflated_twice() -> None:
    inner = gz(TEXT)
    assert inflated(gz(inner)) == inner


@pytest.mark.slow
def test_d9_a_gigabyte_in_a_skippable_frame_is_passed_over() -> None:
    machine, chunk = Inflate(counter := Counter()), bytes(1 << 20)
    machine.write(struct.pack("<II", 0x184D2A5F, 1 << 30))
    tracemalloc.start()
    for _ in range(1 << 10):
        machine.write(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    machine.write(zs(TEXT))
    machine.finish()
    assert counter.size == len(TEXT)
    assert peak < 8 << 20


# -- pulses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [gz(bytes(8 << 20)), zs(bytes(8 << 20))], ids=["gzip", "zstd"])
def test_d6_every_mebibyte_of_one_small_chunk_has_its_pulse(data: bytes) -> None:
    counter, seen = Counter(), [0]
    machine = Inflate(counter, pulse=lambda: seen.append(counter.size))
    feed(machine, data)
    assert counter.size == 8 << 20
    steps = [after - before for before, after in pairwise([*seen, counter.size])]
    assert max(steps) <= 1 << 20


@pytest.mark.parametrize("data", [gz(bytes(8 << 20)), zs(bytes(8 << 20)), bytes(8 << 20)], ids=["gzip", "zstd", "none"])
def test_what_the_pulse_raises_ends_the_pass_before_more_is_handed_on(data: bytes) -> None:
    counter = Counter()

    def stop() -> None:
        if counter.size >= 1 << 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        feed(Inflate(counter, pulse=stop), data, lambda d: (d[at : at + 65536] for at in range(0, len(d), 65536)))
    assert counter.size <= 2 << 20


# -- without ISA-L ---------------------------------------------------------------------------------------------------


def test_the_standard_library_takes_members_apart_like_isa_l() -> None:
    body = gz(TEXT)[10:] + b"rest"
    for make in (ZlibMember, codec.GZIP.new):
        for step in (1, 7, len(body)):
            assert _member(make(), body, step) == (TEXT, b"rest")


def _member(member: Decompressor, body: bytes, step: int) -> tuple[bytes, bytes]:
    out, at = b"", 0
    while not member.eof:
        if member.needs_input:
            out += member.decompress(body[at : at + step], 1000)
            at += step
        else:
            out += member.decompress(b"", 1000)
    return out, member.unused_data + body[at:]


def test_the_standard_library_refuses_a_wrong_checksum_too() -> None:
    body = bytearray(gz(TEXT)[10:])
    body[-5] ^= 1
    with pytest.raises(zlib.error):
        ZlibMember().decompress(bytes(body), 1 << 20)
