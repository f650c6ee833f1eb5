"""Hosts that are set up as insecure: what is let go for them, and for nobody else (THREATS B1, B4)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from puller.contracts.access import Endpoint, Protection
from puller.errors import TLSFailure, Unavailable
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.repository import Repository
from testregistry import Basic, Bearer, TestRegistry, faults, serve
from testregistry.canary import serve_canary
from testregistry.certificates import Authority
from tests.registry.elsewhere import HERE, LOGIN, pretend
from tests.registry.mirrors.several import Listed
from tests.registry.scene import Names, Time, content, described, fetched

BLOB = content(5_000)
WANTED = described(BLOB)
USERS = {"alice": "marker-password"}


@asynccontextmanager
async def insecure(registry: TestRegistry, protection: Protection = Protection.ANY) -> AsyncIterator[Repository]:
    """`app` at a name that is no loopback name."""
    host = f"registry.test:{registry.host.rpartition(':')[2]}"
    client = RegistryClient(
        routes=Listed([Endpoint(host, "app", protection)]),
        keyring=LOGIN,
        world=Time().world(),
        classify=pretend,
        resolver=lambda: Names(HERE),
    )
    async with client:
        yield client.repository(Reference.parse(f"{host}/app"))


async def test_b1_its_certificate_may_be_anybodys_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(tls=Authority(tmp_path).server("other.test")) as registry:
        registry.add_blob("app", BLOB)
        async with insecure(registry) as repository:
            assert await fetched(repository, WANTED) == BLOB
            assert await fetched(repository, WANTED) == BLOB

    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 1
    assert "certificate of registry.test" in said[0]
    assert "is not checked" in said[0]


async def test_b1_where_it_speaks_no_tls_it_is_spoken_to_without_secrets_and_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve(auth=Basic(USERS)) as registry:
        registry.add_blob("app", BLOB)
        async with insecure(registry) as repository:
            assert await fetched(repository, WANTED) == BLOB

    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 1
    assert "without TLS" in said[0]


@pytest.mark.parametrize("protection", [Protection.USUAL, Protection.TLS])
async def test_b1_what_is_not_set_up_so_has_to_prove_itself(tmp_path: Path, protection: Protection) -> None:
    async with serve(tls=Authority(tmp_path).server("registry.test")) as registry:
        async with insecure(registry, protection) as repository:
            with pytest.raises(TLSFailure):
                await fetched(repository, WANTED)
        assert len(registry.journal) == 0


async def test_what_it_speaks_is_found_out_once_however_many_ask() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with insecure(registry) as repository:
            await asyncio.gather(*(fetched(repository, WANTED) for _ in range(5)))

        assert registry.journal.count(kind="ping") == 1


async def test_a_host_that_is_not_there_is_said_to_be_so_and_found_out_anew_later() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        port = int(registry.host.rpartition(":")[2])
    async with insecure(registry) as repository:
        with pytest.raises(Unavailable, match="cannot connect"):
            await fetched(repository, WANTED)
        async with serve(port=port) as registry:
            registry.add_blob("app", BLOB)
            assert await fetched(repository, WANTED) == BLOB


async def test_b4_its_token_server_elsewhere_has_to_prove_itself(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with (
        serve_canary(tls=authority.server("cdn.test")) as canary,
        serve(
            tls=authority.server("registry.test"),
            auth=Bearer(USERS, realm=f"https://cdn.test:{canary.host.rpartition(':')[2]}/token"),
        ) as registry,
    ):
        registry.add_blob("app", BLOB)
        async with insecure(registry) as repository:
            with pytest.raises(TLSFailure):
                await fetched(repository, WANTED)
        assert canary.requests == []


async def test_b4_where_it_sends_blobs_has_to_prove_itself(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with (
        serve_canary(tls=authority.server("cdn.test")) as canary,
        serve(tls=authority.server("registry.test")) as registry,
    ):
        there = f"https://cdn.test:{canary.host.rpartition(':')[2]}/blob"
        registry.faults.append(faults.redirect(None, there, kind="blob", times=None))
        async with insecure(registry) as repository:
            with pytest.raises(TLSFailure):
                await fetched(repository, WANTED)
        assert canary.requests == []


async def test_b4_over_plain_http_its_secret_goes_to_no_token_server_elsewhere() -> None:
    async with (
        serve_canary() as canary,
        serve(auth=Bearer(USERS, realm=f"http://cdn.test:{canary.host.rpartition(':')[2]}/token")) as registry,
    ):
        registry.add_blob("app", BLOB)
        async with insecure(registry) as repository:
            with pytest.raises(Exception, match="token"):
                await fetched(repository, WANTED)
        assert not canary.saw("Basic")


async def test_it_may_be_pushed_to() -> None:
    raw = b"{}"
    async with serve() as registry:
        async with insecure(registry) as repository:
            wanted = Descriptor(OCTETS, Digest.of(raw), len(raw))
            async with repository.ingest(wanted) as ingest:
                assert ingest is not None
                await ingest.write(raw)
                await ingest.commit()
            assert await fetched(repository, wanted) == raw
