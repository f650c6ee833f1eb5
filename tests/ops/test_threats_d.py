"""THREATS D against whole pulls: bytes behind the end, diff IDs that lie, bombs, compression under a false name."""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from puller.errors import DiffIDMismatch, InvalidCompression, LayerError, LimitExceeded, Unsupported
from puller.model.digest import Digest
from puller.ops.pulling.plan import Depth
from testregistry import images
from testregistry.grammar import digest_of
from testregistry.layers import Layer
from tests.ops.story import blob_of, document, passed, story

pytestmark = pytest.mark.slow  # many small tests: for `make test`


def zstd(raw: bytes) -> bytes:
    """One frame."""
    return images.compress(raw, "zstd")


TAR = images.tar({"etc/motd": b"hello\n" * 100})
SECOND = images.tar({"evil": b"hidden\n"})
TAILS = {"junk": b"junk" * 100, "a second tar": SECOND, "zeros": bytes(1 << 20), "one byte": b"x"}


# --- D4: the diff ID covers everything that was compressed --------------------------------------------------------


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
async def test_d4_what_lies_behind_the_end_of_the_tar_is_part_of_the_diff_id(
    tmp_path: Path, tail: str, compression: images.Compression
) -> None:
    whole = images.raw_layer(TAR + TAILS[tail], compression)
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(whole))
        assert {"digest", "diff_id"} <= passed(blob_of(await s.pull(), whole.digest))
        facts = await s.store.facts(Digest.parse(whole.digest))
        assert (str(facts.diff_id), facts.unpacked_size) == (digest_of(TAR + TAILS[tail]), len(TAR + TAILS[tail]))


@pytest.mark.parametrize("tail", TAILS)
async def test_d4_a_diff_id_of_the_tar_without_its_tail_is_a_lie(tmp_path: Path, tail: str) -> None:
    short = images.blob_layer(gzip.compress(TAR + TAILS[tail]), digest_of(TAR))
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(short))
        error = await s.refused(DiffIDMismatch, short.digest)
        assert (str(error.wanted), str(error.got)) == (digest_of(TAR), digest_of(TAR + TAILS[tail]))


async def test_d4_a_second_gzip_member_is_part_of_the_diff_id(tmp_path: Path) -> None:
    raw = gzip.compress(TAR) + gzip.compress(SECOND)
    lying, honest = images.blob_layer(raw, digest_of(TAR)), images.blob_layer(raw, digest_of(TAR + SECOND))
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(lying))
        await s.refused(DiffIDMismatch, lying.digest)
        s.registry.add("app:1", images.image(honest))
        assert "diff_id" in passed(blob_of(await s.pull(), honest.digest))


async def test_d4_without_tarsum_the_diff_id_is_checked_all_the_same(tmp_path: Path) -> None:
    lying = images.blob_layer(gzip.compress(TAR), digest_of(SECOND))
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(lying))
        await s.refused(DiffIDMismatch, lying.digest, depth=Depth.NO_TARSUM)


async def test_d4_a_lie_that_digest_only_let_in_is_found_by_the_next_full_pull(tmp_path: Path) -> None:
    lying = images.blob_layer(gzip.compress(TAR), digest_of(SECOND))
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(lying))
        await s.pull(depth=Depth.DIGEST_ONLY)
        with pytest.raises(DiffIDMismatch):
            await s.pull()


# --- D5: gzip streams ----------------------------------------------------------------------------------------------

MEMBER = gzip.compress(TAR, mtime=0)
FIXED_HEADER = b"\x1f\x8b\x08"


def flagged(flags: int, fields: bytes) -> bytes:
    """The member with optional header fields."""
    return FIXED_HEADER + bytes([flags]) + MEMBER[4:10] + fields + MEMBER[10:]


def with_header_crc() -> bytes:
    """The member with a right FHCRC."""
    head = FIXED_HEADER + b"\x02" + MEMBER[4:10]
    return head + (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") + MEMBER[10:]


GOOD = {
    "zero padding": MEMBER + bytes(4096),
    "a name": flagged(0x08, b"layer.tar\0"),
    "extra field": flagged(0x04, b"\x04\0abcd"),
    "header checksum": with_header_crc(),
    "an empty member first": gzip.compress(b"") + MEMBER,
}
BROKEN = {
    "junk behind": MEMBER + b"junk",
    "junk behind zeros": MEMBER + bytes(16) + b"junk",
    "trailer cut short": MEMBER[:-3],
    "stream cut short": MEMBER[: len(MEMBER) // 2],
    "wrong CRC": MEMBER[:-8] + bytes([MEMBER[-8] ^ 1]) + MEMBER[-7:],
    "wrong size": MEMBER[:-4] + bytes([MEMBER[-4] ^ 1]) + MEMBER[-3:],
    "half a header behind": MEMBER + FIXED_HEADER,
}


@pytest.mark.parametrize("how", GOOD)
async def test_d5_a_gzip_stream_of_an_unusual_form_is_read_whole(tmp_path: Path, how: str) -> None:
    layer = images.blob_layer(GOOD[how], digest_of(TAR))
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer))
        assert passed(blob_of(await s.pull(), layer.digest)) == {"size", "digest", "diff_id", "tarsum"}


@pytest.mark.parametrize("how", BROKEN)
async def test_d5_a_broken_gzip_stream_is_refused_although_its_digest_holds(tmp_path: Path, how: str) -> None:
    layer = images.blob_layer(BROKEN[how], digest_of(TAR))
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer))
        error = await s.refused(InvalidCompression, layer.digest)
        assert error.digest == layer.digest


async def test_d5_a_hundred_thousand_empty_members_end_at_the_limit(tmp_path: Path) -> None:
    layer = images.blob_layer(gzip.compress(b"") * 100_000, digest_of(b""))
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer))
        await s.refused(LayerError, layer.digest)


# --- D6: bombs -----------------------------------------------------------------------------------------------------


BOMBS: dict[str, tuple[images.Compression, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zstd": ("zstd", zstd),
    "gzip of many members": ("gzip", lambda raw: gzip.compress(raw[: 1 << 20]) * (len(raw) >> 20)),
    "zstd of many frames": ("zstd", lambda raw: zstd(raw[: 1 << 20]) * (len(raw) >> 20)),
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_d6_a_layer_that_swells_beyond_its_limit_is_refused_and_not_inflated_to_its_end(
    tmp_path: Path, bomb: str
) -> None:
    compression, compress = BOMBS[bomb]
    raw = compress(bytes(32 << 20))
    layer = images.blob_layer(raw, digest_of(b""), compression)
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer))
        error = await s.refused(LimitExceeded, layer.digest, max_unpacked=8 << 20)
        assert (error.digest, error.phase) == (layer.digest, "layer")


async def test_d6_a_layer_of_exactly_its_limit_is_no_bomb(tmp_path: Path) -> None:
    layer = images.raw_layer(TAR)
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer))
        assert "diff_id" in passed(blob_of(await s.pull(max_unpacked=len(TAR)), layer.digest))


async def test_d6_an_honest_layer_of_zeros_is_no_bomb(tmp_path: Path) -> None:
    tar = images.tar({"sparse.img": bytes(24 << 20)})
    layer = images.raw_layer(tar, "gzip")
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer))
        assert passed(blob_of(await s.pull(), layer.digest)) == {"size", "digest", "diff_id", "tarsum"}


async def test_d6_a_zstd_window_larger_than_any_reader_must_have_is_refused(tmp_path: Path) -> None:
    window_log_31 = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"
    layer = images.blob_layer(window_log_31, digest_of(b""), "zstd")
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer))
        await s.refused(LayerError, layer.digest)


async def test_d6_what_a_layer_unpacks_to_is_hashed_and_never_unpacked_again(tmp_path: Path) -> None:
    inner = gzip.compress(bytes(8 << 20))
    layer = images.layer({"bomb.gz": inner})
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer))
        await s.pull()
        assert (await s.store.facts(Digest.parse(layer.digest))).unpacked_size == len(images.tar({"bomb.gz": inner}))


# --- D7: compression and media type ----------------------------------------------------------------------------------

RAW = {"gzip": MEMBER, "zstd": zstd(TAR), "none": TAR}
PROMISES: tuple[images.Compression, ...] = ("gzip", "zstd", "none")


def under(promise: images.Compression, raw: bytes) -> Layer:
    """These bytes under the media type that promises this compression."""
    return images.blob_layer(raw, digest_of(TAR), promise)


@pytest.mark.parametrize(("promise", "actual"), [(p, a) for p in PROMISES for a in RAW if p != a])
async def test_d7_an_oci_layer_compressed_otherwise_than_its_type_says_is_refused(
    tmp_path: Path, promise: images.Compression, actual: str
) -> None:
    layer = under(promise, RAW[actual])
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer))
        await s.refused(InvalidCompression, layer.digest)


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("actual", RAW)
async def test_d7_docker_types_promise_no_compression_so_the_bytes_decide(
    tmp_path: Path, promise: images.Compression, actual: str
) -> None:
    layer = under(promise, RAW[actual])
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer, format="docker"))
        assert passed(blob_of(await s.pull(), layer.digest)) == {"size", "digest", "diff_id", "tarsum"}


@pytest.mark.parametrize("magic", [b"BZh91AY&SY" + bytes(100), b"\xfd7zXZ\0" + bytes(100)], ids=["bzip2", "xz"])
@pytest.mark.parametrize("format_", ["oci", "docker"])
async def test_d7_bzip2_and_xz_are_refused_and_no_program_is_run(
    tmp_path: Path, magic: bytes, format_: images.Format
) -> None:
    layer = images.blob_layer(magic, digest_of(TAR))
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer, format=format_))
        await s.refused((Unsupported, InvalidCompression), layer.digest)


async def test_d7_an_unknown_layer_type_is_kept_unread_and_the_report_says_so(tmp_path: Path) -> None:
    layer = images.blob_layer(b"\x04\x22\x4d\x18 lz4", digest_of(TAR))
    image = images.image(layer)
    raw = image.raw.replace(layer.media_type.encode(), b"application/vnd.example.layer.v1.tar+lz4")
    async with story(tmp_path) as s:
        s.registry.add("app", image)
        s.registry.add_manifest("app", document(raw), image.media_type, "1")
        blob = blob_of(await s.pull(), layer.digest)
        assert passed(blob) == {"size", "digest"}
        assert {check.name: check.note for check in blob.checks if check.passed is None} == {
            "diff_id": "not checked (not a layer: application/vnd.example.layer.v1.tar+lz4)",
            "tarsum": "none (not a layer: application/vnd.example.layer.v1.tar+lz4)",
        }
