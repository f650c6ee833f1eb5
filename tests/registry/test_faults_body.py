"""Faults of a body under way: rows N1, N2, N5, N6, N10, N13, N15 to N20, N25 and N26 of the fault matrix."""

from collections.abc import Awaitable, Callable
from typing import Literal

import pytest

from puller.errors import ConnectionLost, ProtocolViolation, PullerError, SizeMismatch
from puller.model.event import Event, Retrying
from puller.model.mediatype import OCI_MANIFEST
from puller.model.reference import Reference
from puller.registry.patience import Patience
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from testregistry import Bearer, TestRegistry, faults, serve
from testregistry.cdn import serve_cdn
from testregistry.raw import Close, Hang, Pause, RawRequest, Reset, answer, serve_script
from tests.registry.scene import (
    MANIFEST,
    MANIFEST_DESCRIPTOR,
    QUICK,
    Time,
    content,
    described,
    fetched,
    fetched_from,
    opened,
)

SMALL = content(50_000)  # comes through aiohttp's stream
LARGE = content(5_000_000)  # comes straight from the socket
BLOBS = pytest.mark.parametrize("blob", [SMALL, LARGE], ids=["small", "large"])
Break = Callable[..., faults.Fault]
BREAKS = pytest.mark.parametrize("broken", [faults.cut, faults.reset], ids=["FIN", "RST"])


# N1, N2: the line is cut ----------------------------------------------------------------------------------------------


@BLOBS
@BREAKS
@pytest.mark.parametrize("place", ["0", "1", "middle", "size-1", "size"])
async def test_n1_n2_a_blob_cut_anywhere_is_resumed(blob: bytes, broken: Break, place: str) -> None:
    after = {"0": 0, "1": 1, "middle": len(blob) // 2, "size-1": len(blob) - 1, "size": len(blob)}[place]
    async with serve() as registry:
        digest = registry.add_blob("app", blob)
        registry.faults.append(broken(digest, after=after))
        async with opened(registry.name("app")) as repository:
            received, origin = await fetched_from(repository, described(blob))
        assert received == blob
        ranges = registry.journal.ranges(digest)
        if place == "size":
            assert len(ranges) == 1
        elif broken is faults.cut:
            assert ranges == [None, f"bytes={after}-" if after else None]
            assert origin.resumed_at == (after,)
        else:
            assert len(ranges) == 2  # a reset throws away what is still on its way


async def ask_manifest(registry: TestRegistry, repository: Repository) -> None:
    assert await fetched(repository, MANIFEST_DESCRIPTOR) == MANIFEST


async def ask_pinned(registry: TestRegistry, repository: Repository) -> None:
    reference = Reference.parse(registry.name(f"app@{MANIFEST_DESCRIPTOR.digest}"))
    assert await repository.resolve(reference) == MANIFEST_DESCRIPTOR


async def ask_tags(registry: TestRegistry, repository: Repository) -> None:
    assert [tag async for tag in repository.tags()] == ["1"]


Kind = Literal["manifest", "tags", "token"]
Ask = Callable[[TestRegistry, Repository], Awaitable[None]]
DOCUMENTS = pytest.mark.parametrize(
    ("ask", "kind"),
    [(ask_manifest, "manifest"), (ask_pinned, "manifest"), (ask_tags, "tags"), (ask_manifest, "token")],
    ids=["manifest", "pinned", "tags", "token"],
)


@DOCUMENTS
@BREAKS
@pytest.mark.parametrize("after", [0, 1, 10])
async def test_n1_n2_documents_cut_anywhere_are_asked_for_again(
    ask: Ask, kind: Kind, broken: Break, after: int
) -> None:
    async with serve(auth=Bearer(), faults=[broken(kind=kind, after=after)]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            await ask(registry, repository)
        assert registry.journal.count("GET", kind=kind, status=200) >= 1


async def test_n1_a_line_that_is_cut_again_and_again_gets_there_as_long_as_it_advances() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", LARGE)
        registry.faults.append(faults.cut(digest, after=1_100_000, times=None))
        async with opened(registry.name("app"), retries=RetryPolicy(attempts=2)) as repository:
            received, origin = await fetched_from(repository, described(LARGE))
        assert received == LARGE
        assert origin.resumed_at == (1_100_000, 2_200_000, 3_300_000, 4_400_000)
        assert registry.journal.bytes_sent(digest) == len(LARGE)


async def test_n1_a_line_that_brings_nothing_is_given_up_with_the_facts() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", SMALL)
        registry.faults.append(faults.cut(digest, after=1, times=None))
        async with opened(registry.name("app"), retries=RetryPolicy(attempts=4)) as repository:
            with pytest.raises(ConnectionLost) as caught:
                await fetched(repository, described(SMALL))
        assert registry.journal.gets(digest) == 4
        assert (caught.value.attempts, caught.value.host) == (4, registry.host)


async def test_every_retry_is_told() -> None:
    events = list[Event]()
    async with serve() as registry:
        digest = registry.add_blob("app", SMALL)
        registry.faults.append(faults.cut(digest, after=1))
        async with opened(registry.name("app"), events=events) as repository:
            await fetched(repository, described(SMALL))
        (retrying,) = events
        assert isinstance(retrying, Retrying)
        assert (retrying.host, retrying.attempt) == (registry.host, 2)


async def test_resuming_asks_for_the_same_version_by_its_strong_etag() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", SMALL)
        registry.faults.append(faults.cut(digest, after=10))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(SMALL)) == SMALL
        first, second = registry.journal.find("GET", digest=digest)
        assert "If-Range" not in first.headers
        assert second.headers["If-Range"] == first.answer_headers["ETag"]


# N5, N6: the line is silent or slow -----------------------------------------------------------------------------------


@BLOBS
@pytest.mark.parametrize("after", [0, 20_000])
async def test_n5_a_stalled_blob_is_resumed(blob: bytes, after: int) -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", blob)
        registry.faults.append(faults.stall(digest, after=after))
        world = Time().world(real_clock=True)
        async with opened(registry.name("app"), world=world, patience=QUICK) as repository:
            assert await fetched(repository, described(blob)) == blob
        assert registry.journal.ranges(digest) == [None, f"bytes={after}-" if after else None]


@DOCUMENTS
@pytest.mark.parametrize("silent", [faults.stall, faults.hang], ids=["body", "head"])
async def test_n5_documents_that_never_come_are_asked_for_again(ask: Ask, kind: Kind, silent: Break) -> None:
    async with serve(auth=Bearer(), faults=[silent(kind=kind)]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        world = Time().world(real_clock=True)
        async with opened(registry.name("app"), world=world, patience=QUICK) as repository:
            await ask(registry, repository)


async def test_n5_silence_for_ever_is_given_up() -> None:
    async with serve(faults=[faults.hang(times=None)]) as registry:
        world = Time().world(real_clock=True)
        retries = RetryPolicy(attempts=2)
        async with opened(registry.name("app"), world=world, patience=QUICK, retries=retries) as repository:
            with pytest.raises(ConnectionLost, match="in time"):
                await fetched(repository, described(SMALL))


@BLOBS
async def test_n6_one_byte_now_and_then_is_given_up(blob: bytes) -> None:
    patience = Patience(stall=5, minimum_rate=1_000_000, window=0.2)
    async with serve() as registry:
        digest = registry.add_blob("app", blob)
        registry.faults.append(faults.drip(digest, rate=200, times=None))
        world, retries = Time().world(real_clock=True), RetryPolicy(attempts=1)
        async with opened(registry.name("app"), world=world, patience=patience, retries=retries) as repository:
            with pytest.raises(ConnectionLost, match="creeps"):
                await fetched(repository, described(blob))


async def test_n6_a_head_that_drips_is_given_up() -> None:
    def drip(request: RawRequest) -> tuple[bytes | Hang, ...]:
        return (b"HTTP/1.1 103 Early Hints\r\n\r\n",) * 50 + (Hang(),)

    async with serve_script(drip) as raw:
        world, retries = Time().world(real_clock=True), RetryPolicy(attempts=1)
        patience = Patience(connect=0.1, first_byte=0.1, stall=0.1)
        async with opened(f"{raw.host}/app", world=world, patience=patience, retries=retries) as repository:
            with pytest.raises(ConnectionLost):
                await fetched(repository, described(SMALL))


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


# N25, N26: connections that are kept ----------------------------------------------------------------------------------


@BLOBS
async def test_n25_bytes_after_the_body_do_not_poison_the_next_request(blob: bytes) -> None:
    poison = answer(body=b"p" * 1000)
    async with serve_script([answer(body=blob) + poison, answer(body=SMALL)]) as raw:
        async with opened(f"{raw.host}/app") as repository:
            assert await fetched(repository, described(blob)) == blob
            assert await fetched(repository, described(SMALL)) == SMALL
    assert [request.connection for request in raw.requests] == [0, 1]


@BLOBS
async def test_connections_are_used_again(blob: bytes) -> None:
    async with serve_script([answer(body=blob), answer(body=SMALL), answer(body=blob)]) as raw:
        async with opened(f"{raw.host}/app") as repository:
            assert await fetched(repository, described(blob)) == blob
            assert await fetched(repository, described(SMALL)) == SMALL
            assert await fetched(repository, described(blob)) == blob
    assert [request.connection for request in raw.requests] == [0, 0, 0]


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["FIN", "RST"])
async def test_n26_a_kept_connection_that_the_server_closes_is_replaced_in_silence(end: Close | Reset) -> None:
    events = list[Event]()
    async with serve_script([answer(body=SMALL), end, answer(body=SMALL)]) as raw:
        async with opened(f"{raw.host}/app", events=events) as repository:
            for _ in range(2):
                assert await fetched(repository, described(SMALL)) == SMALL
    assert [request.connection for request in raw.requests] == [0, 0, 1]
    assert events == []
