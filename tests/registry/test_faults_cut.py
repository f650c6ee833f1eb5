"""Lines that are cut, stall or creep, and connections that are kept: fault rows N1, N2, N5, N6, N25 and N26."""

from collections.abc import Callable

import pytest

from puller.errors import ConnectionLost
from puller.model.event import Event, Retrying
from puller.registry.retry import RetryPolicy
from puller.registry.transport.patience import Patience
from testregistry import Bearer, faults, serve
from testregistry.cdn import serve_cdn
from testregistry.raw import Close, Hang, RawRequest, Reset, answer, serve_script
from tests.registry.asking import BLOBS, DOCUMENTS, Ask, Kind, fill
from tests.registry.scene import (
    LARGE,
    QUICK,
    SMALL,
    Time,
    described,
    fetched,
    fetched_from,
    opened,
)

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`

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


@DOCUMENTS
@BREAKS
@pytest.mark.parametrize("after", [0, 1, 10])
async def test_n1_n2_documents_cut_anywhere_are_asked_for_again(
    ask: Ask, kind: Kind, broken: Break, after: int
) -> None:
    async with serve(auth=Bearer(), faults=[broken(kind=kind, after=after)]) as registry:
        fill(registry)
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


async def test_a_weak_etag_is_not_sent_back() -> None:
    async with serve(faults=[faults.headers(add={"ETag": 'W/"1"'}, remove=["ETag"], times=None)]) as registry:
        digest = registry.add_blob("app", SMALL)
        registry.faults.append(faults.cut(digest, after=10))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(SMALL)) == SMALL
        assert "If-Range" not in registry.journal.requests[1].headers


async def test_the_etag_of_one_origin_is_not_sent_to_another() -> None:
    async with serve() as registry, serve_cdn(registry) as one, serve_cdn(registry) as other:
        digest = registry.add_blob("app", SMALL)
        registry.faults.append(
            faults.redirect(digest, lambda request: one.url_for(digest)),
            faults.redirect(digest, lambda request: other.url_for(digest), skip=1),
        )
        one.faults.append(faults.cut(digest, after=10))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(SMALL)) == SMALL
        later = (registry.journal.requests[1], other.journal.requests[0])
        assert [request.range for request in later] == ["bytes=10-"] * 2
        assert all("If-Range" not in request.headers for request in later)


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
        fill(registry)
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
