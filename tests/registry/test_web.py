"""Files of any web server: fetched whole, followed where that is safe, and without secrets."""

import pytest

from puller.errors import InvalidConfig, NotFound, ProtocolViolation, PullerError, Unauthorized, UnsafeRedirect
from puller.registry.retry import RetryPolicy
from puller.registry.web import shown, web_file
from testregistry import TestRegistry, faults, images, serve
from testregistry.auth import Bearer

LAYER = images.layer({"etc/motd": b"hello\n" * 100})
ONCE = RetryPolicy(attempts=1)
QUICK = RetryPolicy(base=0.0)


def url_of(registry: TestRegistry, digest: str = LAYER.digest) -> str:
    return f"http://{registry.name('app').partition('/')[0]}/v2/app/blobs/{digest}"


async def got(url: str, limit: int | None = None, retries: RetryPolicy = ONCE) -> bytes:
    raw = bytearray()
    async with web_file(url, limit=limit, retries=retries) as body:
        async for chunk in body:
            raw += chunk
    return bytes(raw)


async def test_a_file_is_fetched_whole() -> None:
    async with serve() as registry:
        registry.add("app:1", images.image(LAYER))
        assert await got(url_of(registry)) == LAYER.raw


async def test_what_is_not_there_is_told_without_talk_of_registries() -> None:
    async with serve() as registry:
        with pytest.raises(NotFound) as caught:
            await got(url_of(registry))
        assert caught.value.hint == ""


@pytest.mark.parametrize("slack", [0, -1])
async def test_d6_no_more_than_the_limit_is_taken(slack: int) -> None:
    async with serve() as registry:
        registry.add("app:1", images.image(LAYER))
        limit = len(LAYER.raw) + slack
        if slack:
            with pytest.raises(ProtocolViolation):
                await got(url_of(registry), limit=limit)
        else:
            assert await got(url_of(registry), limit=limit) == LAYER.raw


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest", "file:///etc/passwd", "http://user@127.0.0.1/"])
async def test_b8_redirects_are_judged(target: str) -> None:
    async with serve(faults=[faults.redirect(None, target, kind="blob")]) as registry:
        registry.add("app:1", images.image(LAYER))
        with pytest.raises(UnsafeRedirect):
            await got(url_of(registry))


async def test_n4_a_line_that_is_cut_is_gone_on_with() -> None:
    large = images.generated_layer(3 << 20)
    async with serve(faults=[faults.cut(large.digest, after=1 << 20)]) as registry:
        registry.add("app:1", images.image(large))
        assert await got(url_of(registry, large.digest), retries=QUICK) == large.raw


async def test_b2_a_challenge_is_not_answered() -> None:
    async with serve(auth=Bearer()) as registry:
        registry.add("app:1", images.image(LAYER))
        with pytest.raises(Unauthorized):
            await got(url_of(registry))
        assert [request.kind for request in registry.journal] == ["blob"]


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "http://", "http://user:secret@host/x", "x"])
async def test_b15_other_urls_are_refused_and_secrets_not_shown(url: str) -> None:
    with pytest.raises((InvalidConfig, PullerError)) as caught:
        await got(url)
    assert "secret" not in str(caught.value)


def test_b15_queries_are_not_shown() -> None:
    assert shown("https://host/x.tar?token=secret#part") == "https://host/x.tar"
