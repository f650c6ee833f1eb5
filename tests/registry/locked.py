"""Locked: what it takes to pull from registries that want to know who is there."""

from collections.abc import Collection
from pathlib import Path

from puller.contracts.access import Credential, KnownIdentity
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.retry import RetryPolicy
from testregistry import TestRegistry, images
from tests.registry.scene import Names, Time

LAYER = images.layer({"etc/motd": b"x" * 200_000}, compression="none")
IMAGE = images.image(LAYER)
USERS = {"user": "marker-secret"}
USER = Credential("user", "marker-secret")
ATTEMPTS = 3


class Known:
    """A Keyring with one credential for every registry."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def identity(self, registry: str, repository: str) -> KnownIdentity:
        return KnownIdentity("the test's", self._credential)


def client(
    registry: str,
    credential: Credential | None = None,
    *,
    named: bool = True,
    time: Time | None = None,
    ca_file: Path | None = None,
    token_hosts: Collection[str] = (),
) -> RegistryClient:
    """A client that waits for nothing; with `named` it may send credentials to `registry` over plain HTTP."""
    return RegistryClient(
        keyring=Known(credential) if credential is not None else None,
        plain_http=[registry] if named else [],
        ca_file=ca_file,
        token_hosts=token_hosts,
        world=(time or Time()).world(),
        retries=RetryPolicy(attempts=ATTEMPTS),
        resolver=lambda: Names({"registry.good.test": "127.0.0.1", "login.evil.test": "127.0.0.1"}),
    )


async def resolve(opened: RegistryClient, name: str) -> Descriptor:
    reference = Reference.parse(name)
    return await opened.repository(reference).resolve(reference)


async def fetch(opened: RegistryClient, name: str) -> bytes:
    """The bytes of LAYER from the repository of `name`."""
    wanted = Descriptor(mediatype.OCI_LAYER, Digest.parse(LAYER.digest), LAYER.size)
    async with opened.repository(Reference.parse(name)).fetch(wanted) as body:
        return b"".join([bytes(chunk) async for chunk in body])


def sent(registry: TestRegistry) -> list[str | None]:
    """The Authorization of every request for content, in order."""
    return [request.headers.get("Authorization") for request in registry.journal if request.kind != "token"]
