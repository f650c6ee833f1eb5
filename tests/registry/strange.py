"""Strange: foreign layers, registries that have not got them, and sources that know where else they lie."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.resolver import ThreadedResolver

from puller.errors import PullerError
from puller.model.descriptor import Descriptor
from puller.model.event import Event
from puller.model.mediatype import DOCKER_FOREIGN_LAYER
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.retry import RetryPolicy
from puller.registry.transport.reach import Classify, reach_of
from testregistry import Basic, TestRegistry, serve
from testregistry.answer import Answer
from testregistry.body import BytesBody
from tests.registry.scene import Names, OneLogin, Time, content, described, fetched_from

BLOB = content(50_000)
ALLOWED = {"host", "user-agent", "accept", "accept-encoding"}
PLAIN_HEADERS = ALLOWED | {"range"}


def foreign(*urls: str, media_type: str = DOCKER_FOREIGN_LAYER, size: int = len(BLOB)) -> Descriptor:
    return Descriptor(media_type, described(BLOB).digest, size, urls=urls)


def giving(raw: bytes = BLOB, *headers: tuple[str, str]) -> Answer:
    return Answer(200, headers, BytesBody(raw))


@asynccontextmanager
async def opened(
    name: str,
    *,
    allowed: bool = True,
    login: OneLogin | None = None,
    attempts: int = 1,
    events: list[Event] | None = None,
    names: Names | None = None,
    classify: Classify = reach_of,
    plain_http: Sequence[str] = (),
    ca_file: Path | None = None,
    **more: Any,
) -> AsyncIterator[Any]:
    """The source `name`."""
    client = RegistryClient(
        keyring=login,
        foreign_layers=allowed,
        retries=RetryPolicy(attempts=attempts),
        world=Time().world(),
        report=(events if events is not None else []).append,
        classify=classify,
        plain_http=plain_http,
        ca_file=ca_file,
        resolver=ThreadedResolver if names is None else lambda: names,
        **more,
    )
    async with client:
        yield client.source(Reference.parse(name))


@asynccontextmanager
async def lacking(**more: Any) -> AsyncIterator[TestRegistry]:
    """A registry that has not got it; whoever asks has to log in."""
    async with serve(auth=Basic({"alice": "marker-password"}), **more) as registry:
        registry.add_blob("app", b"something else")
        yield registry


async def refused(source: Any, wanted: Descriptor) -> PullerError:
    with pytest.raises(PullerError) as caught:
        await fetched_from(source, wanted)
    return caught.value
