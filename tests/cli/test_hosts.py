"""A client that is opened with what a configuration of syncs says of registries."""

from pathlib import Path

import pytest

from puller.cli.options import Access
from puller.cli.registries import open_client
from puller.errors import InvalidConfig, TLSFailure
from puller.mirror.config import Host, Login, Pointer
from puller.model.event import unheard
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from testregistry import Basic, TestRegistry, images, serve
from testregistry.certificates import Authority

LOGIN = Login(Pointer("text", "ann"), Pointer("env", "HUB_SECRET"))


def client(registry: TestRegistry, host: Host, access: Access | None = None) -> RegistryClient:
    return open_client(access or Access(), jobs=1, report=unheard, hosts={registry.host: host})


async def tags(client: RegistryClient, registry: TestRegistry) -> list[str]:
    async with client:
        return [tag async for tag in client.source(Reference.parse(registry.name("app"))).tags()]


async def test_a_login_of_the_configuration_is_used_over_what_it_says_the_registry_speaks(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_SECRET", "marker-password")
    async with serve(auth=Basic({"ann": "marker-password"})) as registry:
        registry.add("app:1", images.image())
        assert await tags(client(registry, Host(plain_http=True, login=LOGIN)), registry) == ["1"]


async def test_a_login_that_is_not_there_is_found_before_anybody_is_asked(home: Path) -> None:
    async with serve() as registry:
        with pytest.raises(InvalidConfig, match="not set"):
            client(registry, Host(login=LOGIN))
        assert registry.journal.requests == []


async def test_certificates_of_the_configuration_prove_a_registry_and_insecure_asks_for_no_proof(
    home: Path, tmp_path: Path
) -> None:
    authority, other = (Authority(_folder(tmp_path / name), name) for name in ("house", "other"))
    right, wrong = (_folder(tmp_path / f"{name}-certs") for name in ("house", "other"))
    (right / "ca.crt").write_bytes(authority.file.read_bytes())
    (wrong / "ca.crt").write_bytes(other.file.read_bytes())
    async with serve(tls=authority.server()) as registry:
        registry.add("app:1", images.image())
        assert await tags(client(registry, Host(certificates=str(right))), registry) == ["1"]
        assert await tags(client(registry, Host(insecure=True)), registry) == ["1"]
        with pytest.raises(TLSFailure):
            await tags(client(registry, Host(certificates=str(wrong))), registry)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


async def test_an_option_of_the_run_comes_before_the_rate_of_the_configuration(home: Path) -> None:
    async with serve() as registry:
        registry.add("app:1", images.image())
        # Once in a thousand seconds: a second request would end the test by its timeout.
        opened = client(registry, Host(rate=0.001), Access(request_rate=1000.0))
        async with opened:
            for _ in range(3):
                await opened.repository(Reference.parse(registry.name("app"))).named("1")
        assert opened.requests == {registry.host: {"HEAD": 3}}
