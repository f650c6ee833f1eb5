"""The list of a registry's repositories: whole (DEMANDS C29), within bounds (B9), and of names alone (A5)."""

import json
from collections.abc import Callable

import pytest

from puller.errors import InvalidReference, NotFound, ProtocolViolation, Unauthorized, UnsafeRedirect
from puller.registry import catalog
from puller.registry.client import RegistryClient
from testregistry import Basic, Bearer, Manner, faults, images, serve
from testregistry.canary import serve_canary
from testregistry.raw import RawRequest, answer, serve_script
from tests.registry.elsewhere import LOGIN
from tests.registry.scene import Time


def page(*names: object, link: str | None = None) -> bytes:
    headers = [("Link", f'<{link}>; rel="next"')] if link is not None else []
    return answer(headers=headers, body=json.dumps({"repositories": names}).encode())


async def listed(host: str, **more: object) -> list[str]:
    async with RegistryClient(world=Time().world(), **more) as client:  # type: ignore[arg-type]  # any keywords
        return [name async for name in client.catalog(host)]


async def answered(script: list[bytes] | Callable[[RawRequest], bytes]) -> list[str]:
    async with serve_script(script) as raw:
        return await listed(raw.host)


async def test_all_pages_are_followed_also_where_the_registry_makes_them_short() -> None:
    names = [f"team/app-{number:03}" for number in range(250)]
    async with serve(manner=Manner(list_page=100)) as registry:
        for name in names:
            registry.add(f"{name}:1", images.image())
        assert await listed(registry.host) == names
        assert registry.journal.count(kind="catalog") == 3
        assert registry.journal.requests[0].query == "n=1000"


async def test_a_token_for_the_catalog_is_asked_for() -> None:
    auth = Bearer({"alice": "marker-password"}, anonymous=set())
    async with serve(auth=auth, manner=Manner(list_page=1)) as registry:
        for name in ("a", "b"):
            registry.add(f"{name}:1", images.image())
        assert await listed(registry.host, keyring=LOGIN, plain_http=[registry.host]) == ["a", "b"]
        (token,) = registry.journal.find(kind="token")
        assert "scope=registry%3Acatalog%3A%2A" in token.query


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (401, Unauthorized), (403, Unauthorized)])
async def test_a_registry_that_lists_nothing_is_said_to_be_no_rarity(status: int, kind: type[Exception]) -> None:
    async with serve(faults=[faults.status(status, kind="catalog", times=None)]) as registry:
        with pytest.raises(kind) as caught:
            await listed(registry.host)
        assert "to nobody" in str(caught.value)


async def test_h3_an_empty_catalog_is_one() -> None:
    assert await answered([page()]) == []
    assert await answered([answer(body=b'{"repositories": null}')]) == []


@pytest.mark.parametrize(
    "name",
    ["..", ".", "a/../b", "/a", "a/", "a//b", "A", "a:b", "a@b", "a b", "a\x00", "a\n", "", "a" * 256, "\u0661", 5,
     None, ["a"]],
)  # fmt: skip
async def test_a5_what_is_no_repository_is_refused(name: object) -> None:
    with pytest.raises(ProtocolViolation):
        await answered([page("good", name)])


async def test_b9_a_next_page_elsewhere_is_refused_and_shown_nothing() -> None:
    async with serve_canary() as canary, serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add("a:1", images.image())
        for link in (
            f"{canary.url}/v2/_catalog?last=a",
            f"//{canary.host}/v2/_catalog",
            "http://169.254.169.254/x",
            "/x",
        ):
            registry.faults.clear()
            registry.faults.append(faults.headers(add={"Link": f'<{link}>; rel="next"'}, kind="catalog", times=None))
            with pytest.raises(UnsafeRedirect) as caught:
                await listed(registry.host, keyring=LOGIN, plain_http=[registry.host])
            assert "marker" not in str(caught.value)
        assert canary.requests == []


async def test_b9_a_catalog_that_leads_to_itself_comes_to_an_end() -> None:
    with pytest.raises(ProtocolViolation):
        await answered(lambda request: page("a", "b", link=request.path))


@pytest.mark.parametrize(("width", "match"), [(30, "too many repositories"), (1, "no end")])
async def test_b9_a_catalog_without_end_comes_to_an_end(
    width: int, match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "MAX_REPOSITORIES", 100)
    monkeypatch.setattr(catalog, "MAX_PAGES", 20)
    numbers = iter(range(10**6))

    def script(request: RawRequest) -> bytes:
        number = next(numbers)
        return page(*[f"r{number}-{entry}" for entry in range(width)], link=f"/v2/_catalog?last=r{number}")

    with pytest.raises(ProtocolViolation, match=match):
        await answered(script)


async def test_c7_an_endless_page_is_cut_off() -> None:
    async with serve(faults=[faults.endless(kind="catalog", times=None)]) as registry:
        with pytest.raises(ProtocolViolation, match="too large"):
            await listed(registry.host)


@pytest.mark.parametrize("registry", ["", "a/b", "http://a", "a:b", "..", "a:70000"])
async def test_a_catalog_is_of_a_registry(registry: str) -> None:
    with pytest.raises(InvalidReference):
        await listed(registry)
