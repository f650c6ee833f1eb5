"""How many pulls are left, as far as a registry has told: for those who want to leave some."""

from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from testregistry import Quota, images, serve

WINDOW = 3600.0


async def test_what_a_head_tells_is_known() -> None:
    async with serve(quota=Quota(100, WINDOW, used=40)) as registry, RegistryClient() as client:
        name = Reference.parse(registry.name("app:1"))
        registry.add("app:1", images.image(images.layer({"a": b"a"})))
        assert client.pulls_left(name) is None
        await client.source(name).resolve(name)
        assert client.pulls_left(name) == 60


async def test_of_a_registry_without_quota_nothing_is_known() -> None:
    async with serve() as registry, RegistryClient() as client:
        name = Reference.parse(registry.name("app:1"))
        registry.add("app:1", images.image(images.layer({"a": b"a"})))
        await client.source(name).resolve(name)
        assert client.pulls_left(name) is None
