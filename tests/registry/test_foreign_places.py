"""Where the URLs of foreign layers may lead: no further than a redirect of the registry that names them might."""

from pathlib import Path
from typing import Any

import pytest

from puller.errors import TLSFailure, UnsafeRedirect
from puller.registry.transport.reach import reach_of
from testregistry import serve
from testregistry.answer import Answer
from testregistry.canary import serve_canary
from testregistry.certificates import Authority
from tests.registry.elsewhere import HERE, pretend, told
from tests.registry.scene import Names, fetched_from
from tests.registry.strange import BLOB, foreign, giving, opened, refused


@pytest.mark.parametrize(
    "url",
    [
        "http://mcr.example/layer",
        "ftp://mcr.example/layer",
        "file:///etc/passwd",
        "/v2/other/blobs/x",
        "//mcr.example/layer",
        "https://user:marker@127.0.0.1/layer",
        "https://2130706433/layer",
        "https://0x7f.1/layer",
        "https://[::1%25lo]/layer",
        "https://mcr.example/la yer",
        "https://mcr.example\\@127.0.0.1/",
        "https://",
        "",
        "https://mcr.example/" + "a" * 20_000,
    ],
)
async def test_b8_what_is_no_https_url_of_a_plain_host_is_not_asked(url: str) -> None:
    names = Names(HERE)
    async with serve() as registry:
        async with opened(f"{registry.host}/app", names=names) as source:
            error = await refused(source, foreign(url))
        assert isinstance(error, UnsafeRedirect)
        assert names.asked == []
        assert "marker" not in f"{error}"


@pytest.mark.parametrize("url", ["https://inside.test/layer", "https://127.0.0.2/layer", "https://169.254.169.254/x"])
async def test_b8_a_public_registry_may_not_send_us_inside(url: str) -> None:
    async with serve() as registry:
        name = told(registry)
        async with opened(f"{name}/app", names=Names(HERE), classify=pretend, plain_http=[name]) as source:
            error = await refused(source, foreign(url))
        assert isinstance(error, UnsafeRedirect)
        assert "out of bounds" in error.what


async def test_b1_plain_http_to_this_machine_is_for_registries_of_this_machine() -> None:
    async with serve() as registry, serve_canary(giving(), host="127.0.0.2") as canary:
        name = told(registry)
        async with opened(f"{name}/app", names=Names(HERE), classify=pretend, plain_http=[name]) as source:
            error = await refused(source, foreign(f"{canary.url}/layer"))
        assert isinstance(error, UnsafeRedirect)
        assert canary.requests == []


async def test_b1_a_name_of_this_machine_that_leads_elsewhere_is_not_spoken_to_without_tls() -> None:
    def other(address: str) -> Any:
        return reach_of("10.0.0.1") if address == "127.0.0.3" else reach_of(address)

    names = Names({"localhost": "127.0.0.3"})
    async with serve() as registry, opened(f"{registry.host}/app", names=names, classify=other) as source:
        error = await refused(source, foreign("http://localhost:9/layer"))
        assert isinstance(error, UnsafeRedirect)


@pytest.mark.parametrize("target", ["http://169.254.169.254/x", "http://user:marker@127.0.0.1/x", "file:///x"])
async def test_b7_b8_redirects_of_the_host_are_judged_as_those_of_registries(target: str) -> None:
    async with serve() as registry, serve_canary(Answer(307, (("Location", target),))) as canary:
        async with opened(f"{registry.host}/app") as source:
            error = await refused(source, foreign(f"{canary.url}/layer"))
        assert isinstance(error, UnsafeRedirect)
        assert "marker" not in f"{error}"


async def test_a_redirect_is_followed_and_told() -> None:
    async with serve() as registry, serve_canary(giving()) as cdn:
        async with serve_canary(Answer(302, (("Location", f"{cdn.url}/there"),))) as canary:
            async with opened(f"{registry.host}/app") as source:
                raw, origin = await fetched_from(source, foreign(f"{canary.url}/layer"))
        assert (raw, origin.host, origin.redirect) == (BLOB, canary.host, cdn.host)


async def test_b1_a_host_that_nobody_vouches_for_is_not_believed(tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    async with serve() as registry, serve_canary(giving(), tls=stranger.server()) as canary:
        async with opened(f"{registry.host}/app") as source:
            assert isinstance(await refused(source, foreign(f"{canary.url}/layer")), TLSFailure)
        assert canary.requests == []
