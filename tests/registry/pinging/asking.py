"""Asking: what a ping finds out, as a list."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

from puller.contracts.access import Credential, Routes
from puller.model.event import unheard
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.pinging.finding import (
    Finding,
    Verdict,
)
from puller.registry.transport.proxy import Proxies
from puller.registry.transport.reach import Reach
from puller.registry.world import World
from testregistry import images
from tests.registry.locked import Known
from tests.registry.scene import Names

IMAGE = images.image(images.layer({"etc/motd": b"hello\n"}))
USERS = {"ann": "marker-password"}
ANN = Credential("ann", "marker-password")
F = TypeVar("F", bound=Finding)


async def findings(
    name: str,
    *,
    credential: Credential | None = None,
    plain_http: Collection[str] = (),
    ca_file: Path | None = None,
    names: Names | None = None,
    routes: Routes | None = None,
    token_hosts: Collection[str] = (),
    world: World | None = None,
    proxies: Proxies | None = None,
) -> list[Finding]:
    """All that a ping finds. With a path in `name` the repository is asked, too."""
    more: dict[str, Any] = {} if names is None else {"resolver": lambda: names}
    more |= {} if proxies is None else {"proxies": proxies}
    deep = "/" in name
    client = RegistryClient(
        keyring=None if credential is None else Known(credential),
        plain_http=plain_http,
        ca_file=ca_file,
        routes=routes,
        token_hosts=token_hosts,
        world=world,
        report=unheard,
        classify=lambda address: Reach.LOOPBACK,
        **more,
    )
    async with client:
        reference = Reference.parse(name if deep else f"{name}/ping")
        return [finding async for finding in client.ping(reference, deep=deep)]


def one(found: list[Finding], kind: type[F]) -> F:
    (finding,) = [finding for finding in found if isinstance(finding, kind)]
    return finding


def is_usable(found: list[Finding]) -> bool:
    return all(finding.verdict is not Verdict.FAIL for finding in found)
