import asyncio
import gc
from pathlib import Path

import pytest

from puller.contracts.access import Identity, KnownIdentity
from puller.errors import InvalidConfig
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from testregistry import Bearer, faults, serve
from testregistry.raw import Pause, answer, serve_script
from tests.registry.scene import OneLogin, Time, content, described, fetched, opened

BLOB = content(10_000)


async def test_repositories_of_one_registry_share_tokens_and_connections() -> None:
    async with serve(auth=Bearer()) as registry, RegistryClient(world=Time().world()) as client:
        registry.add_blob("app", BLOB)
        for _ in range(3):
            repository = client.repository(Reference.parse(registry.name("app:1")))
            assert await fetched(repository, described(BLOB)) == BLOB
        assert registry.journal.count(kind="token") == 1
        assert registry.journal.count(status=401) == 1


@pytest.mark.parametrize("blob", [BLOB, content(3_000_000)], ids=["stream", "inlet"])
async def test_no_more_connections_to_a_host_than_the_cap(blob: bytes) -> None:
    async with serve_script(lambda request: (Pause(0.01), answer(body=blob))) as raw:
        async with opened(f"{raw.host}/app", concurrency=3) as repository:
            results = await asyncio.gather(*(fetched(repository, described(blob)) for _ in range(12)))
        assert results == [blob] * 12
        assert {request.connection for request in raw.requests} == {0, 1, 2}


async def test_a_wait_for_a_free_connection_is_no_timeout() -> None:
    blob = content(100_000)
    async with serve() as registry:
        digest = registry.add_blob("app", blob)
        registry.faults.append(faults.stall(digest, after=50_000, seconds=0.3))
        patience = Time().world()
        async with opened(registry.name("app"), concurrency=1, world=patience) as repository:
            results = await asyncio.gather(*(fetched(repository, described(blob)) for _ in range(3)))
        assert results == [blob] * 3


async def test_the_user_agent_names_the_program() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app")) as repository:
            await fetched(repository, described(BLOB))
        assert registry.journal.requests[0].headers["User-Agent"].startswith("puller/")


async def test_b11_unusable_credentials_are_an_error_and_nobody_is_asked() -> None:
    class Broken:
        def identity(self, registry: str, repository: str) -> Identity | None:
            raise InvalidConfig("broken entry", where=registry)

    async with serve() as registry, RegistryClient(keyring=Broken()) as client:
        with pytest.raises(InvalidConfig):
            client.repository(Reference.parse(registry.name("app:1")))
        assert len(registry.journal) == 0


async def test_credentials_are_asked_for_by_the_name_in_the_reference() -> None:
    asked = []

    class Asked(OneLogin):
        def identity(self, registry: str, repository: str) -> KnownIdentity:
            asked.append(registry)
            return super().identity(registry, repository)

    async with RegistryClient(keyring=Asked("", "x")) as client:
        for name in ("alpine", "quay.io/a/b:1", "127.0.0.1:5000/a"):
            client.repository(Reference.parse(name))
    assert asked == ["docker.io", "quay.io", "127.0.0.1:5000"]


async def test_a_ca_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    async with opened("127.0.0.1:1/app", ca_file=tmp_path / "ca.pem") as repository:
        with pytest.raises(InvalidConfig, match="CA file"):
            await fetched(repository, described(BLOB))


async def test_r7_a_closed_client_leaves_no_socket_open() -> None:
    async with serve() as registry:
        registry.add_blob("app", content(3_000_000))
        async with opened(registry.name("app")) as repository:
            async with repository.fetch(described(content(3_000_000))) as body:
                async for _ in body:
                    break  # given up in the middle
        gc.collect()  # an open transport would warn here, and warnings are errors
        await asyncio.sleep(0.01)


async def test_a_consumer_that_fails_does_not_hide_its_error() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(ZeroDivisionError):
                async with repository.fetch(described(BLOB)):
                    raise ZeroDivisionError
