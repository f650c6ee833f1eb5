"""Large blobs in pieces from where a registry sends us: signed URLs, asked again until they die (row N13)."""

import pytest

from puller.errors import PullerError
from testregistry import Bearer, Request, faults, serve
from testregistry.cdn import serve_cdn
from tests.registry.download.pieces import BLOB, EAGER, WANTED, are_pieces, eager, ranges
from tests.registry.scene import content, described, fetched, fetched_from


async def test_n13_the_signed_url_is_asked_again_and_the_registry_once() -> None:
    async with serve(auth=Bearer()) as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(cdn.redirect(digest))
        async with eager(registry.host) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        assert origin.redirect == cdn.host
        assert are_pieces(sorted(ranges(cdn.journal)))
        assert registry.journal.count("GET", kind="blob", digest=digest) == 2  # without a token, and with one
        assert len({request.query for request in cdn.journal}) == 1
        assert all("Authorization" not in request.headers for request in cdn.journal)


async def test_n13_a_url_that_dies_under_way_is_replaced_once_for_all_pieces() -> None:
    async with serve() as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(cdn.redirect(digest))

        def expire(request: Request) -> None:
            if len(cdn.journal) == 8:
                cdn.expire()

        cdn.service.on_request.append(expire)
        async with eager(registry.host) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        assert origin.attempts == 1
        assert registry.journal.count("GET", kind="blob") == 2
        assert {request.status for request in cdn.journal} == {200, 206, 403}
        assert sum(request.status == 403 for request in cdn.journal) <= EAGER.most


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302])
async def test_n13_whatever_the_dead_url_answers_leads_back_to_the_registry(status: int) -> None:
    async with serve() as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(cdn.redirect(digest))
        cdn.faults.append(faults.status(digest, status, headers={"Location": "http://127.0.0.1:9/"}, skip=6))
        async with eager(registry.host) as repository:
            assert await fetched(repository, WANTED) == BLOB
        assert registry.journal.count("GET", kind="blob") == 2


async def test_n13_urls_that_always_die_at_once_end_in_one_stream() -> None:
    async with serve() as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(cdn.redirect(digest))
        cdn.faults.append(faults.status(digest, 403, ranged=True, times=None))
        async with eager(registry.host) as repository:
            assert await fetched(repository, WANTED) == BLOB
        # Refused as pieces and as a rest, at last it was asked for as a whole.
        assert [request.range for request in cdn.journal if request.status == 200] == [None, None]


async def test_nothing_of_a_signed_url_is_in_an_error() -> None:
    async with serve() as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(cdn.redirect(digest))
        cdn.faults.append(faults.drop(digest, ranged=True, times=None, skip=3))
        async with eager(registry.host, attempts=1) as repository:
            with pytest.raises(PullerError) as caught:
                await fetched(repository, WANTED)
    assert "sig=" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"


async def test_a_stream_that_goes_on_where_pieces_end_is_widened_again_by_the_url_it_came_from() -> None:
    blob, other = content(12_000_000), content(1000)
    async with serve() as registry, serve_cdn(registry) as cdn:
        registry.add_blob("app", other)
        registry.faults.append(cdn.redirect(registry.add_blob("app", blob)))

        def streams() -> list[int]:
            return [number for number, (_, last) in enumerate(ranges(cdn.journal)) if last is None]

        received = bytearray()
        # Two for one blob; with another one beside it there is but one.
        async with eager(registry.host, concurrency=3) as repository, repository.fetch(described(blob)) as body:
            chunks = aiter(body)
            while not ranges(cdn.journal):
                received += await anext(chunks)
            async with repository.fetch(described(other)):
                while not streams():
                    received += await anext(chunks)
            async for chunk in chunks:
                received += chunk
        assert received == blob
        (stream,) = streams()
        queries = [request.query for request in cdn.journal if request.range is not None]
        assert queries[stream] != queries[0]
        assert len(queries) > stream + 2
        assert set(queries[stream:]) == {queries[stream]}
        assert registry.journal.count("GET", kind="blob") == 3
