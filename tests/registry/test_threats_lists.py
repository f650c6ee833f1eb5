"""Threat B9: lists of tags that lead elsewhere, go round, or never end, in bytes as well as in pages."""

import json
from collections.abc import Callable

import pytest

from puller.errors import ProtocolViolation, PullerError, UnsafeRedirect
from puller.registry import tags
from testregistry import Basic, Manner, faults, images, serve
from testregistry.canary import serve_canary
from testregistry.raw import RawRequest, answer, serve_script
from tests.registry.elsewhere import HERE, LOGIN, told
from tests.registry.scene import Names, opened


async def listed(script: Callable[[RawRequest], bytes]) -> list[str]:
    async with serve_script(script) as raw, opened(f"{raw.host}/app") as repository:
        return [tag async for tag in repository.tags()]


@pytest.mark.parametrize(
    "link",
    [
        "http://169.254.169.254/latest/meta-data", "http://[::ffff:169.254.169.254]/x", "http://2130706433/x",
        "http://{canary}/v2/app/tags/list?last=a", "//{canary}/v2/app/tags/list?last=a",
        "http://registry.test@{canary}/v2/app/tags/list", "https://{host}/v2/app/tags/list?last=a",
        "http://sub.{host}/v2/app/tags/list?last=a", "file:///etc/passwd", "gopher://{canary}/x",
        "http://ann:pw@{host}/v2/app/tags/list?last=a",
    ],
)  # fmt: skip
async def test_b9_a_next_page_elsewhere_is_refused_and_shown_nothing(link: str) -> None:
    async with serve_canary() as canary, serve(auth=Basic({"alice": "marker-password"})) as registry:
        name = told(registry)
        registry.add("app:a", images.image())
        target = link.format(canary=canary.host, host=name)
        registry.faults.append(faults.headers(add={"Link": f'<{target}>; rel="next"'}, kind="tags", times=None))
        names = Names(HERE | {"sub.registry.test": "127.0.0.1"})
        async with opened(f"{name}/app", names=names, login=LOGIN, plain_http=[name]) as repository:
            with pytest.raises((UnsafeRedirect, ProtocolViolation)) as caught:
                [tag async for tag in repository.tags()]
        assert canary.requests == []
        assert "marker" not in str(caught.value)
        assert registry.journal.count(kind="tags") == 2  # the challenge, and the first page


async def test_b9_pages_that_are_each_in_bounds_and_together_are_not_come_to_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tags, "MAX_BYTES", 100_000)
    pages = iter(range(10**6))

    def script(request: RawRequest) -> bytes:
        number = next(pages)
        body = json.dumps({"tags": [f"t{number}"], "padding": "a" * 9_000}).encode()
        return answer(headers=[("Link", f'<?last=t{number}>; rel="next"')], body=body)

    with pytest.raises(ProtocolViolation, match="too large"):
        await listed(script)
    assert next(pages) == 12


async def test_b9_tags_without_end_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "MAX_TAGS", 100)
    pages = iter(range(10**6))

    def script(request: RawRequest) -> bytes:
        number = next(pages)
        body = json.dumps({"tags": [f"t{number}-{entry}" for entry in range(30)]}).encode()
        return answer(headers=[("Link", f'<?last=t{number}>; rel="next"')], body=body)

    with pytest.raises(ProtocolViolation, match="too many tags"):
        await listed(script)


async def test_b9_two_pages_that_lead_to_each_other_come_to_an_end() -> None:
    def script(request: RawRequest) -> bytes:
        other = "b" if "last=a" in request.path else "a"
        return answer(headers=[("Link", f'<?last={other}>; rel="next"')], body=b'{"tags": ["a", "b"]}')

    with pytest.raises(ProtocolViolation):
        await listed(script)


async def test_b9_more_links_than_anybody_needs_are_refused() -> None:
    links = ", ".join(f'<?last={number}>; rel="other"' for number in range(100))
    with pytest.raises(PullerError):
        await listed(lambda request: answer(headers=[("Link", links)], body=b'{"tags": ["a"]}'))


async def test_pages_of_a_registry_that_cuts_them_as_it_likes_are_all_followed() -> None:
    async with serve(manner=Manner(list_page=7)) as registry:
        digest = registry.add("app", images.image())
        for number in range(30):
            registry.tag(f"app:t{number:02}", digest)
        async with opened(registry.name("app")) as repository:
            assert [tag async for tag in repository.tags()] == [f"t{number:02}" for number in range(30)]
        assert registry.journal.count(kind="tags") == 5
