"""The blob host: signed URLs, their end, and no second credential."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from testregistry import TestRegistry, faults, images, serve
from testregistry.cdn import Cdn, serve_cdn
from tests.testregistry.asking import get

LAYER = images.layer({"a": b"b" * 1000})
IMAGE = images.image(LAYER)


class Clock:
    """A clock that stands until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def hosting(clock: Clock | None = None) -> AsyncIterator[tuple[TestRegistry, Cdn]]:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        async with serve_cdn(registry, lifetime=10, clock=clock or Clock()) as cdn:
            yield registry, cdn


async def test_a_signed_url_serves_the_blob_and_its_ranges() -> None:
    async with hosting() as (_, cdn):
        whole = await get(cdn.url_for(LAYER.digest))
        part = await get(cdn.url_for(LAYER.digest), Range="bytes=5-")
    assert (whole.status, whole.body) == (200, LAYER.raw)
    assert (part.status, part.body) == (206, LAYER.raw[5:])
    assert "Docker-Content-Digest" not in whole.headers
    assert cdn.journal.ranges(LAYER.digest) == [None, "bytes=5-"]


async def test_n13_a_url_is_refused_once_expired_by_call() -> None:
    async with hosting() as (_, cdn):
        url = cdn.url_for(LAYER.digest)
        cdn.expire()
        assert (await get(url)).status == 403
        assert (await get(cdn.url_for(LAYER.digest))).status == 200


async def test_n13_a_url_is_refused_once_its_lifetime_is_over() -> None:
    clock = Clock()
    async with hosting(clock) as (_, cdn):
        url = cdn.url_for(LAYER.digest)
        clock.now += 9.5
        assert (await get(url)).status == 200
        clock.now += 1
        assert (await get(url)).status == 403


@pytest.mark.parametrize("change", [("sig=", "sig=0"), ("until=", "until=9"), (LAYER.digest, IMAGE.config.digest)])
async def test_a_url_that_was_tampered_with_is_refused(change: tuple[str, str]) -> None:
    async with hosting() as (_, cdn):
        assert (await get(cdn.url_for(LAYER.digest).replace(*change))).status == 403


async def test_b5_a_request_with_authorization_is_refused() -> None:
    async with hosting() as (_, cdn):
        assert (await get(cdn.url_for(LAYER.digest), Authorization="Bearer x")).status == 400


async def test_the_registry_sends_blob_requests_over_with_a_fresh_url_each_time() -> None:
    async with hosting() as (registry, cdn):
        registry.faults.append(cdn.redirect())
        blob = f"{registry.url}/v2/app/blobs/{LAYER.digest}"
        first = await get(blob)
        cdn.expire()
        second = await get(blob)
        assert (first.status, second.status) == (307, 307)
        assert (await get(first.headers["Location"])).status == 403
        assert (await get(second.headers["Location"])).body == LAYER.raw
        assert (await get(f"{registry.url}/v2/app/manifests/1")).status == 200


async def test_faults_can_be_armed_at_the_blob_host_too() -> None:
    async with hosting() as (_, cdn):
        cdn.faults.append(faults.status(LAYER.digest, 503))
        assert [(await get(cdn.url_for(LAYER.digest))).status for _ in range(2)] == [503, 200]


async def test_an_unknown_blob_is_404() -> None:
    async with hosting() as (_, cdn):
        assert (await get(cdn.url_for("sha256:" + "0" * 64))).status == 404
