"""What the workers of a cluster are given: nothing that is a secret (THREATS B15)."""

import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from puller.cli import crew
from puller.cli.crew import Crew, open_crew
from puller.cli.options import Access
from puller.errors import InvalidConfig
from puller.mirror.config import Host, Login, Pointer
from puller.model.event import unheard
from puller.ops.copying.claims import LocalClaims
from puller.ops.copying.places import Places
from puller.ops.syncing import cluster
from puller.registry.client import RegistryClient

MARKER = "s3cret-Marker"
LOGIN = Login(Pointer("text", "me"), Pointer("env", "SECRET_OF_MINE"))


def places() -> Places:
    async def store(folder: str) -> Any:
        raise AssertionError("no store is opened")

    return Places(RegistryClient(), stores=store)


@pytest.mark.parametrize("proxy", [f"http://me:{MARKER}@proxy.test:1", f"socks5://{MARKER}:x@proxy.test:1"])
async def test_b15_the_login_of_a_proxy_is_not_handed_to_workers(proxy: str) -> None:
    given = Crew("tcp://127.0.0.1:9", Access(proxy=proxy), {}, 1)
    with pytest.raises(InvalidConfig) as caught:
        async with open_crew(given, places(), LocalClaims(), unheard):
            pass
    assert MARKER not in f"{caught.value} {caught.value.facts()}"


async def test_b15_what_is_pickled_for_workers_says_where_secrets_are_and_not_what(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handed: list[bytes] = []

    @asynccontextmanager
    async def listening(address: str, run: str, opened: Any, **_: Any) -> AsyncIterator[None]:
        handed.append(pickle.dumps(opened))
        yield None

    monkeypatch.setenv("SECRET_OF_MINE", MARKER)
    monkeypatch.setattr(cluster, "cluster", listening)
    given = Crew("tcp://127.0.0.1:9", Access(proxy="env"), {"a.test": Host(login=LOGIN)}, 1)
    async with open_crew(given, places(), LocalClaims(), unheard):
        pass
    assert b"SECRET_OF_MINE" in handed[0]
    assert MARKER.encode() not in handed[0]
    assert pickle.loads(handed[0]).func is crew.open_carrier
