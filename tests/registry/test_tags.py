import json
from collections.abc import Callable

import pytest

from puller.errors import NotFound, ProtocolViolation, RegistryError, UnsafeRedirect
from puller.model.mediatype import OCI_MANIFEST
from testregistry import faults, serve
from testregistry.canary import serve_canary
from testregistry.raw import RawRequest, answer, serve_script
from tests.registry.scene import MANIFEST, opened

START = "/v2/app/tags/list"


def page(*tags: object, link: str | None = None) -> bytes:
    headers = [("Link", f'<{link}>; rel="next"')] if link is not None else []
    return answer(headers=headers, body=json.dumps({"name": "app", "tags": tags}).encode())


async def listed(script: list[bytes] | Callable[[RawRequest], bytes]) -> tuple[list[str], list[str]]:
    """The tags, and the paths that were asked for."""
    async with serve_script(script) as raw, opened(f"{raw.host}/app") as repository:
        tags = [tag async for tag in repository.tags()]
        return tags, [request.path for request in raw.requests]


async def test_all_pages_are_followed_in_order() -> None:
    async with serve() as registry:
        digest = registry.add_manifest("app", MANIFEST, OCI_MANIFEST)
        names = [f"t{n:04}" for n in range(2500)]
        for name in names:
            registry.tag(f"app:{name}", digest)
        async with opened(registry.name("app")) as repository:
            assert [tag async for tag in repository.tags()] == names
        assert registry.journal.count(kind="tags") == 3


@pytest.mark.parametrize("link", [f"{START}?last=a", "list?last=a", "?last=a"])
async def test_b9_relative_links_are_followed(link: str) -> None:
    tags, paths = await listed([page("a", link=link), page("b")])
    assert tags == ["a", "b"]
    assert paths[1] == f"{START}?last=a"


async def test_b9_an_absolute_link_of_the_same_origin_is_followed() -> None:
    def script(request: RawRequest) -> bytes:
        host = request.header("Host")
        return page("b") if "last" in request.path else page("a", link=f"http://{host}{START}?last=a")

    assert (await listed(script))[0] == ["a", "b"]


async def test_b9_a_next_page_at_another_origin_is_refused() -> None:
    async with serve_canary() as canary:
        for link in (f"{canary.url}{START}?last=a", f"//{canary.host}{START}", "http://169.254.169.254/latest"):
            with pytest.raises(UnsafeRedirect):
                await listed([page("a", link=link)])
        assert canary.requests == []


@pytest.mark.parametrize("link", ["/v2/other/tags/list?last=a", "/admin", "../../../_catalog", "http://user@{host}/"])
async def test_b9_a_next_page_of_something_else_is_refused(link: str) -> None:
    with pytest.raises(RegistryError):
        await listed([page("a", link=link), page("b")])


async def test_b9_a_page_that_leads_to_itself_is_refused() -> None:
    with pytest.raises(ProtocolViolation, match="no end"):
        await listed(lambda request: page("a", link=request.path))


async def test_b9_pages_without_new_tags_are_refused() -> None:
    counter = iter(range(10**9))
    with pytest.raises(ProtocolViolation, match="does not advance"):
        await listed(lambda request: page("a", "b", link=f"?n={next(counter)}"))


async def test_b9_the_last_page_may_be_empty() -> None:
    assert (await listed([page("a", link="?last=a"), page()]))[0] == ["a"]


async def test_b9_a_tag_that_is_listed_twice_is_given_once() -> None:
    assert (await listed([page("a", "b", "a", link="?last=b"), page("b", "c")]))[0] == ["a", "b", "c"]


@pytest.mark.slow
async def test_b9_a_million_pages_come_to_an_end() -> None:
    counter = iter(range(10**6))
    with pytest.raises(ProtocolViolation, match="10000 pages"):
        await listed(lambda request: page(f"t{(n := next(counter))}", link=f"?last=t{n}"))


@pytest.mark.parametrize("tags", [b"null", b"[]"])
async def test_a_repository_without_tags_has_none(tags: bytes) -> None:
    assert (await listed([answer(body=b'{"name": "app", "tags": ' + tags + b"}")]))[0] == []


@pytest.mark.parametrize(
    "tag",
    [
        "../../etc/cron.d/x",
        "..",
        ".",
        "a/b",
        "a" * 129,
        "a\x00",
        "a\n",
        "",
        "-a",
        "\u0661",
        "\x1b]52;c",
        5,
        None,
        ["a"],
    ],
)
async def test_a5_what_is_no_tag_is_refused(tag: object) -> None:
    with pytest.raises(ProtocolViolation):
        await listed([page("good", tag)])


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b'{"tags": "a"}', b'{"tags": {}}', b'{"tags":[],"tags":["a"]}'])
async def test_c5_what_is_no_list_of_tags_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        await listed([answer(body=raw)])


async def test_c7_an_endless_page_is_cut_off() -> None:
    async with serve(faults=[faults.endless(kind="tags", times=None)]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            with pytest.raises(ProtocolViolation, match="too large"):
                [tag async for tag in repository.tags()]


async def test_an_unknown_repository_is_not_found() -> None:
    async with serve() as registry, opened(registry.name("none")) as repository:
        with pytest.raises(NotFound):
            [tag async for tag in repository.tags()]
