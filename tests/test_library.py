"""The library as its users meet it: what `import puller` gives, and pulling without a command line."""

import subprocess
import sys

import pytest

import puller
from puller import Depth, Digest, MemoryStore, Platform, PullerError, Reference, RegistryClient, Wish, pull
from testregistry import images, serve

LAYER = images.layer({"etc/motd": b"hello\n"})
IMAGE = images.image(LAYER)


def test_every_public_name_is_there() -> None:
    assert puller.__all__ == sorted(puller.__all__)
    assert all(getattr(puller, name) is not None for name in puller.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = puller.nothing


def test_importing_the_package_loads_nothing_else() -> None:
    script = "import sys, puller; print(sorted(n for n in sys.modules if n.startswith('puller') or n == 'asyncio'))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "['puller']\n"


async def test_an_image_can_be_pulled_into_memory_and_read_back() -> None:
    async with serve() as registry, RegistryClient() as client:
        registry.add("app:1", IMAGE)
        reference = Reference.parse(registry.name("app:1"))
        store = MemoryStore()
        report = await pull(reference, client.source(reference), store, Wish([Platform("linux", "amd64")]))
        root = await store.resolve(reference)
        assert report.digest == IMAGE.digest == str(root.digest)
        assert await store.read(root, limit=1 << 20) == IMAGE.raw
        assert str((await store.facts(Digest.parse(LAYER.digest))).diff_id) == LAYER.diff_id


async def test_a_store_is_a_source_so_an_image_can_go_from_one_to_another() -> None:
    async with serve() as registry, RegistryClient() as client:
        registry.add("app:1", IMAGE)
        reference = Reference.parse(registry.name("app:1"))
        first, second, wish = MemoryStore(), MemoryStore(), Wish(None, Depth.DIGEST_ONLY)
        await pull(reference, client.source(reference), first, wish)
    await pull(reference, first, second, Wish(None))
    assert (await second.resolve(reference)).digest == Digest.parse(IMAGE.digest)
    assert str((await second.facts(Digest.parse(LAYER.digest))).diff_id) == LAYER.diff_id


async def test_every_failure_is_one_family() -> None:
    async with serve() as registry, RegistryClient() as client:
        reference = Reference.parse(registry.name("gone:1"))
        with pytest.raises(PullerError):
            await pull(reference, client.source(reference), MemoryStore(), Wish(None))
