"""What a client gives to copy images from: one shape, whether a repository has mirrors, foreign layers, or neither."""

import pytest

from puller.contracts.access import Endpoint, Protection
from puller.contracts.images import ImageSource, ImageTarget, TagKeeper
from puller.errors import NotFound
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from testregistry import images, serve
from tests.registry.mirrors.several import IMAGE, Listed, hosts
from tests.registry.scene import MANIFEST_DESCRIPTOR, Time

SIGNATURE = images.artifact(artifact_type="a/sig", subject=IMAGE)


async def test_a_registry_without_mirrors_is_an_image_source() -> None:
    async with serve() as registry, RegistryClient(world=Time().world()) as client:
        registry.add("app:1", IMAGE)
        registry.add("app", SIGNATURE)
        source: ImageSource = client.source(Reference.parse(registry.name("app:1")))
        assert source.place == registry.name("app")
        assert await source.holds(MANIFEST_DESCRIPTOR)
        assert [tag async for tag in source.tags()] == ["1"]
        assert [str(one.digest) for one in await source.referrers(Digest.parse(IMAGE.digest))] == [SIGNATURE.digest]


async def test_a_repository_is_all_that_copies_want_of_a_place() -> None:
    async with serve() as registry, RegistryClient(world=Time().world()) as client:
        repository = client.repository(Reference.parse(registry.name("app:1")))
        source: ImageSource = repository
        target: ImageTarget = repository
        keeper: TagKeeper = repository
        assert {source.place, target.place} == {registry.name("app")}
        assert await keeper.named("1") is None
        assert registry.journal.count() == 1


async def test_the_place_is_the_full_name_as_references_have_it() -> None:
    async with RegistryClient() as client:
        assert client.source(Reference.parse("alpine")).place == "docker.io/library/alpine"
        assert client.repository(Reference.parse("alpine")).place == "docker.io/library/alpine"


async def test_h3_lists_come_from_the_registry_though_a_mirror_has_the_images() -> None:
    async with hosts() as there:
        there.registry.tag("app:2", IMAGE.digest)
        there.registry.add("app", SIGNATURE)
        endpoints = [
            Endpoint(there.mirror.host, "app", Protection.PLAIN, is_mirror=True),
            Endpoint(there.registry.host, "app", Protection.PLAIN),
        ]
        async with RegistryClient(world=Time().world(), routes=Listed(endpoints)) as client:
            source = client.source(there.reference)
            assert source.place == there.reference.name
            assert [tag async for tag in source.tags()] == ["1", "2"]
            assert [str(one.digest) for one in await source.referrers(Digest.parse(IMAGE.digest))] == [SIGNATURE.digest]
            assert there.mirror.journal.requests == []
            assert (await source.resolve(there.reference)).digest == Digest.parse(IMAGE.digest)
            assert there.mirror.journal.count() == 1


async def test_an_unknown_repository_is_not_found_whoever_lists_it() -> None:
    async with serve() as registry, RegistryClient(world=Time().world()) as client:
        source = client.source(Reference.parse(registry.name("none")))
        with pytest.raises(NotFound):
            [tag async for tag in source.tags()]
