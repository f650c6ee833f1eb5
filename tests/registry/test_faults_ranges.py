"""Bodies that are resumed, and bodies that lie about themselves: rows N10, N13 and N15 to N20 of the fault matrix."""

import pytest

from puller.errors import ConnectionLost, ProtocolViolation, PullerError, SizeMismatch
from puller.registry.retry import RetryPolicy
from testregistry import Bearer, faults, serve
from testregistry.cdn import serve_cdn
from testregistry.raw import Close, Pause, RawRequest, answer, serve_script
from tests.registry.asking import BLOBS
from tests.registry.scene import (
    LARGE,
    SMALL,
    content,
    described,
    fetched,
    fetched_from,
    opened,
)

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`


# N10, N13: the way changes while the body is under way ----------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 400])
async def test_n10_a_token_that_dies_under_way_is_renewed_once(status: int) -> None:
    async with serve(auth=Bearer(bad_token_status=status)) as registry:
        digest = registry.add_blob("app", SMALL)
        registry.faults.append(faults.cut(digest, after=100), faults.expire_token(digest, skip=2))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(SMALL)) == SMALL
        assert registry.journal.ranges(digest) == [None, None, "bytes=100-", "bytes=100-"]
        assert registry.journal.count(kind="token") == 2


@BLOBS
async def test_n13_a_dead_signed_url_is_replaced_by_asking_the_registry(blob: bytes) -> None:
    async with serve() as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", blob)
        stale = cdn.url_for(digest)
        cdn.expire()
        registry.faults.append(faults.redirect(digest, stale, skip=1), cdn.redirect(digest))
        cdn.faults.append(faults.cut(digest, after=30_000))
        async with opened(registry.name("app")) as repository:
            received, origin = await fetched_from(repository, described(blob))
        assert received == blob
        assert [(r.status, r.range) for r in cdn.journal] == [
            (200, None),
            (403, "bytes=30000-"),
            (206, "bytes=30000-"),
        ]
        assert origin.redirect == cdn.host


async def test_n13_no_authorization_goes_to_the_blob_host() -> None:
    async with serve(auth=Bearer()) as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", SMALL)
        registry.faults.append(cdn.redirect(digest))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(SMALL)) == SMALL
        assert all("Authorization" not in request.headers for request in cdn.journal)
        assert len(cdn.journal) == 1


async def test_n13_signed_urls_that_are_always_dead_are_given_up() -> None:
    async with serve() as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", SMALL)
        stale = cdn.url_for(digest)
        cdn.expire()
        registry.faults.append(faults.redirect(digest, stale, times=None))
        async with opened(registry.name("app")) as repository:
            with pytest.raises(PullerError) as caught:
                await fetched(repository, described(SMALL))
        assert len(cdn.journal) == 3
        assert caught.value.host == cdn.host
        assert "sig=" not in str(caught.value)


async def test_a_blob_host_that_refuses_every_range_is_asked_for_the_whole() -> None:
    async with serve() as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", SMALL)
        registry.faults.append(cdn.redirect(digest))
        cdn.faults.append(faults.cut(digest, after=30_000), faults.status(400, ranged=True, times=None))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(SMALL)) == SMALL


# N15, N16, N17: ranges ------------------------------------------------------------------------------------------------


@BLOBS
async def test_n15_a_server_that_ignores_ranges_is_skipped_into(blob: bytes) -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", blob)
        registry.faults.append(faults.cut(digest, after=40_000), faults.ignore_range(digest, times=None))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(blob)) == blob
        assert [r.status for r in registry.journal.find("GET", digest=digest)] == [200, 200]


async def test_n15_bytes_sent_twice_have_a_limit() -> None:
    async with serve() as registry:
        blob = content(12_000_000)
        digest = registry.add_blob("app", blob)
        cuts = [faults.cut(digest, after=2_000_000 + 1_100_000 * n, skip=n) for n in range(8)]
        registry.faults.append(*cuts, faults.ignore_range(digest, times=None))
        async with opened(registry.name("app")) as repository:
            with pytest.raises(ProtocolViolation, match="cannot resume"):
                await fetched(repository, described(blob))
        assert registry.journal.bytes_sent(digest) < 60_000_000


@BLOBS
@pytest.mark.parametrize("wrong", ["first", "total", "star", "two-headers", "multipart", "missing"])
async def test_n16_a_wrong_range_is_refused_and_the_whole_asked_for_once(blob: bytes, wrong: faults.WrongRange) -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", blob)
        registry.faults.append(faults.cut(digest, after=40_000), faults.wrong_range(digest, wrong, times=None))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(blob)) == blob
        assert registry.journal.ranges(digest) == [None, "bytes=40000-", None]


async def test_n16_a_range_nobody_asked_for_is_refused() -> None:
    part = answer("206 Partial Content", [("Content-Range", "bytes 0-49999/50000")], SMALL)
    async with serve_script([part]) as raw, opened(f"{raw.host}/app") as repository:
        with pytest.raises(ProtocolViolation, match="206"):
            await fetched(repository, described(SMALL))


async def test_n17_a_refused_range_leads_to_the_whole_once() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", SMALL)
        registry.faults.append(faults.cut(digest, after=40_000), faults.status(416, ranged=True, times=None))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(SMALL)) == SMALL
        assert registry.journal.ranges(digest) == [None, "bytes=40000-", None]


# N18, N19, N20: how long the body says it is --------------------------------------------------------------------------


@BLOBS
@pytest.mark.parametrize("delta", [-10, 10])
async def test_n18_a_wrong_length_is_an_error_at_once(blob: bytes, delta: int) -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", blob)
        registry.faults.append(faults.wrong_length(digest, delta=delta))
        async with opened(registry.name("app")) as repository:
            with pytest.raises((SizeMismatch, ProtocolViolation)):
                await fetched(repository, described(blob))


@pytest.mark.parametrize(
    "lengths",
    [
        ("50000", "50001"),
        ("-1",),
        ("50000, 50000x",),
        ("0x10",),
        ("9223372036854775808",),
        ("1e5",),
        ("",),
        ("+50000",),
    ],
)
async def test_n18_an_impossible_length_is_refused(lengths: tuple[str, ...]) -> None:
    head = answer(headers=[("Content-Length", value) for value in lengths], body=SMALL, length=False)
    async with serve_script([(head, Close())] * 9) as raw:
        async with opened(f"{raw.host}/app", retries=RetryPolicy(attempts=1)) as repository:
            with pytest.raises(PullerError) as caught:
                await fetched(repository, described(SMALL))
    assert isinstance(caught.value, ProtocolViolation | SizeMismatch)


@pytest.mark.parametrize("after", [0, 1, 25_000, 49_999])
async def test_n19_a_body_that_ends_with_its_connection_is_known_to_be_short(after: int) -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", SMALL)
        registry.faults.append(faults.close_delimited(digest, cut=after))
        async with opened(registry.name("app")) as repository:
            received, origin = await fetched_from(repository, described(SMALL))
        assert received == SMALL
        assert origin.resumed_at == (after,)


async def test_n19_a_whole_body_without_length_is_taken() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", LARGE)
        registry.faults.append(faults.close_delimited(digest))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(LARGE)) == LARGE
        assert registry.journal.gets(digest) == 1


async def test_n19_an_http_1_0_answer_cut_short_is_resumed() -> None:
    def script(request: RawRequest) -> tuple[bytes | Close, ...]:
        if request.header("Range") is None:
            return (b"HTTP/1.0 200 OK\r\n\r\n" + SMALL[:40], Close())
        return (answer("206 Partial Content", [("Content-Range", "bytes 40-49999/50000")], SMALL[40:]),)

    async with serve_script(script) as raw, opened(f"{raw.host}/app") as repository:
        assert await fetched(repository, described(SMALL)) == SMALL


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = CHUNKED + b"%x\r\n" % len(SMALL) + SMALL + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "broken",
    [
        CHUNKED,
        CHUNKED + b"c350",
        CHUNKED + b"c350\r\n" + SMALL[:100],
        CHUNKED + b"64\r\n" + SMALL[:100] + b"\r\n",
    ],
    ids=["no chunk", "in size", "in data", "no last"],
)
async def test_n20_chunks_that_break_off_are_asked_for_again(broken: bytes) -> None:
    async with serve_script([(broken, Close()), (WHOLE, Close())]) as raw, opened(f"{raw.host}/app") as repository:
        assert await fetched(repository, described(SMALL)) == SMALL
    assert len(raw.requests) == 2


@pytest.mark.parametrize(
    "garbage",
    [b"\r\nzz\r\n", b"XX0\r\n\r\n", b"\r\n-5\r\n", b"\r\nffffffffffffffffff\r\n", b"\r\n0\n\n", b"\n0\r\n\r\n"],
    ids=["bad size", "no line end", "negative", "huge", "bare LF", "bare LF after data"],
)
@pytest.mark.parametrize("pause", [0, 0.02], ids=["at once", "later"])
async def test_n20_malformed_chunks_give_an_error_and_never_wrong_bytes(garbage: bytes, pause: float) -> None:
    item = (CHUNKED + b"64\r\n" + SMALL[:100], Pause(pause), garbage + SMALL[100:300], Close())
    async with serve_script([item]) as raw:
        async with opened(f"{raw.host}/app", retries=RetryPolicy(attempts=1)) as repository:
            with pytest.raises((ProtocolViolation, ConnectionLost)):
                await fetched(repository, described(SMALL))


async def test_n20_a_body_whose_last_chunk_alone_is_missing_is_whole() -> None:
    cut = CHUNKED + b"%x\r\n" % len(SMALL) + SMALL + b"\r\n"
    async with serve_script([(cut, Close())]) as raw, opened(f"{raw.host}/app") as repository:
        assert await fetched(repository, described(SMALL)) == SMALL
    assert len(raw.requests) == 1


async def test_n20_chunk_extensions_and_trailers_are_no_part_of_the_body() -> None:
    extended = CHUNKED + b"c350;name=value\r\n" + SMALL + b"\r\n0\r\nDocker-Content-Digest: sha256:00\r\n\r\n"
    async with serve_script([extended]) as raw, opened(f"{raw.host}/app") as repository:
        assert await fetched(repository, described(SMALL)) == SMALL
