"""What one registry is asked for at most, and what all of them were asked."""

import anyio
import pytest

from puller.errors import SizeMismatch
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.pace import HostPace, Pace
from puller.registry.transport.census import MOST_HOSTS, OTHERS, Census
from testregistry import Bearer, TestRegistry, faults, images, serve
from testregistry.canary import serve_canary
from tests.registry.scene import Time, content

BLOBS = [content(1000, seed) for seed in range(6)]


async def heads(client: RegistryClient, registry: TestRegistry, number: int) -> None:
    repository = client.repository(Reference.parse(registry.name("app")))
    for _ in range(number):
        await repository.named("none")


async def test_a_rate_of_one_registry_holds_for_it_and_for_no_other() -> None:
    now = Time()
    async with serve() as slow, serve() as quick:
        async with RegistryClient(world=now.world(), pace=Pace(hosts={slow.host: HostPace(rate=2)})) as client:
            start = now.now
            await heads(client, quick, 10)
            assert now.now == start
            await heads(client, slow, 5)
            assert now.now - start == pytest.approx(2.0)


async def test_a_rate_of_one_registry_comes_before_that_of_all() -> None:
    now = Time()
    async with serve() as quick, serve() as other:
        pace = Pace(request_rate=1, hosts={quick.host: HostPace(rate=100)})
        async with RegistryClient(world=now.world(), pace=pace) as client:
            start = now.now
            await heads(client, quick, 5)
            assert now.now - start == pytest.approx(0.04)
            await heads(client, other, 2)
            assert now.now - start == pytest.approx(1.04)


@pytest.mark.parametrize(("most", "wanted"), [(1, 1), (3, 3), (None, 6)])
async def test_no_more_connections_at_once_than_a_registry_is_to_be_asked_over(most: int | None, wanted: int) -> None:
    under_way = most_at_once = 0

    async def slowly(request: object) -> None:
        nonlocal under_way, most_at_once
        under_way += 1
        most_at_once = max(most_at_once, under_way)
        await anyio.sleep(0.02)
        under_way -= 1

    async with serve() as registry:
        registry.on_request.append(slowly)
        for raw in BLOBS:
            registry.add_blob("app", raw)
        pace = Pace(concurrency=6, hosts={registry.host: HostPace(concurrency=most)})
        async with RegistryClient(pace=pace) as client:
            repository = client.repository(Reference.parse(registry.name("app")))

            async def fetch(raw: bytes) -> None:
                async with repository.fetch(Descriptor(OCTETS, Digest.of(raw), len(raw))) as body:
                    async for _ in body:
                        pass

            async with anyio.create_task_group() as group:
                for raw in BLOBS:
                    group.start_soon(fetch, raw)
    assert most_at_once == wanted


async def test_requests_are_counted_by_host_and_method_as_the_registries_saw_them() -> None:
    image = images.image(images.layer({"a": b"b"}))
    auth = Bearer({"alice": "x"}, separate=True)
    async with serve(auth=auth, faults=[faults.status(503, kind="tags")]) as one, serve() as other:
        one.add("app:1", image)
        other.add("app:1", image)
        async with RegistryClient(world=Time().world()) as client:
            assert client.requests == {}
            for registry in (one, other):
                source = client.source(Reference.parse(registry.name("app:1")))
                await source.resolve(Reference.parse(registry.name("app:1")))
                assert [tag async for tag in source.tags()] == ["1"]
            told = client.requests
            tokens = auth.endpoint.split("/")[2]
            seen = [request.method for request in one.journal if request.kind != "token"]
            assert told[one.host] == {method: seen.count(method) for method in set(seen)} == {"HEAD": 2, "GET": 2}
            assert told[tokens] == {"GET": 1}
            assert told[other.host] == {"HEAD": 1, "GET": 1}
            assert set(told) == {one.host, tokens, other.host}
            await client.source(Reference.parse(other.name("app:1"))).referrers(Digest.parse(image.digest))
            assert told[other.host]["GET"] == 1, "what was told stays as it was"


async def test_what_a_registry_sends_elsewhere_is_counted_there() -> None:
    async with serve_canary() as canary, serve() as registry:
        registry.add_blob("app", BLOBS[0])
        registry.faults.append(faults.redirect(None, f"{canary.url}/blob", kind="blob", times=None))
        async with RegistryClient(world=Time().world()) as client:
            repository = client.repository(Reference.parse(registry.name("app")))
            with pytest.raises(SizeMismatch):
                async with repository.fetch(Descriptor(OCTETS, Digest.of(BLOBS[0]), 1000)):
                    pass
            assert client.requests[canary.host] == {"GET": len(canary.requests)}


def test_hosts_without_number_are_counted_together() -> None:
    census = Census()
    for number in range(MOST_HOSTS + 50):
        census.count(f"h{number}", "GET")
    census.count("h0", "HEAD")
    assert census.counts[OTHERS] == {"GET": 50}
    assert census.counts["h0"] == {"GET": 1, "HEAD": 1}
    assert len(census.counts) == MOST_HOSTS + 1
