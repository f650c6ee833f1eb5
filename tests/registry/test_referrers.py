"""What refers to a manifest: by the API, by the tag that stands in for it, and never more than anybody needs (C20)."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from puller.errors import ProtocolViolation, Unavailable, UnsafeRedirect
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCI_INDEX, OCI_MANIFEST
from puller.registry import referrers
from testregistry import Basic, Bearer, Manner, TestRegistry, faults, images, serve
from testregistry.canary import serve_canary
from testregistry.raw import RawRequest, answer, serve_script
from tests.registry.elsewhere import LOGIN
from tests.registry.scene import described, opened

IMAGE = images.image(images.layer({"a": b"b"}))
SUBJECT = Digest.parse(IMAGE.digest)
TAG = IMAGE.digest.replace(":", "-")
SIGNATURES = [images.artifact(artifact_type="a/sig", annotations={"n": str(n)}, subject=IMAGE) for n in range(5)]
OLD = Manner(referrers=False)


def entry(number: int, **more: object) -> dict[str, Any]:
    return {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(b"%d" % number)), "size": 9, **more}


def index(*entries: object) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def page(*entries: object, link: str | None = None, media_type: str = OCI_INDEX) -> bytes:
    headers = [("Content-Type", media_type), *([("Link", f'<{link}>; rel="next"')] if link is not None else [])]
    return answer(headers=headers, body=index(*entries))


async def found(registry: TestRegistry, **more: Any) -> Sequence[Descriptor]:
    async with opened(registry.name("app"), **more) as repository:
        return await repository.referrers(SUBJECT)


async def answered(script: list[bytes] | Callable[[RawRequest], bytes]) -> tuple[Sequence[Descriptor], list[str]]:
    """What is found, and the paths that were asked for."""
    async with serve_script(script) as raw, opened(f"{raw.host}/app") as repository:
        return await repository.referrers(SUBJECT), [request.path for request in raw.requests]


def stocked(registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    for signature in SIGNATURES:
        registry.add("app", signature)


async def test_the_api_tells_digest_type_kind_and_annotations_in_one_request() -> None:
    async with serve() as registry:
        stocked(registry)
        (first, *rest) = sorted(await found(registry), key=lambda one: one.annotations["n"])
        assert len(registry.journal.requests) == 1
    assert first == Descriptor(OCI_MANIFEST, Digest.parse(SIGNATURES[0].digest), len(SIGNATURES[0].raw))
    assert (first.artifact_type, first.annotations) == ("a/sig", {"n": "0"})
    assert len(rest) == 4


async def test_all_pages_are_followed() -> None:
    async with serve(manner=Manner(referrers_page=2)) as registry:
        stocked(registry)
        assert {str(one.digest) for one in await found(registry)} == {one.digest for one in SIGNATURES}
        assert registry.journal.count(kind="referrers") == 3


async def test_nothing_refers_is_final_where_there_is_an_api() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        registry.add_manifest("app", index(entry(1)), OCI_INDEX, tag=TAG)
        assert await found(registry) == ()
        assert len(registry.journal.requests) == 1


@pytest.mark.parametrize("status", [404, 400, 405, 406, 501])
async def test_at_a_registry_without_the_api_the_index_under_the_tag_is_taken(status: int) -> None:
    async with serve(manner=OLD, faults=[faults.status(status, kind="referrers", times=None)]) as registry:
        registry.add("app:1", IMAGE)
        registry.add_manifest("app", index(entry(1, artifactType="a/sig", annotations={"k": "v"})), OCI_INDEX, tag=TAG)
        (one,) = await found(registry)
        paths = [request.path for request in registry.journal]
    assert (one.digest, one.artifact_type, one.annotations) == (Digest.of(b"1"), "a/sig", {"k": "v"})
    assert paths == [f"/v2/app/referrers/{SUBJECT}", f"/v2/app/manifests/{TAG}"]


async def test_without_api_and_tag_nothing_refers() -> None:
    async with serve(manner=OLD) as registry:
        registry.add("app:1", IMAGE)
        assert await found(registry) == ()


async def test_a_web_page_in_place_of_the_api_is_no_list() -> None:
    script = [answer(headers=[("Content-Type", "text/html")], body=b"<html>"), page(entry(1))]
    assert [one.digest for one in (await answered(script))[0]] == [Digest.of(b"1")]


async def test_a_failing_registry_is_not_one_without_referrers() -> None:
    async with serve(faults=[faults.status(503, kind="referrers", times=None)]) as registry:
        stocked(registry)
        with pytest.raises(Unavailable):
            await found(registry)
        assert registry.journal.count(kind="manifest") == 0


async def test_a_referrer_that_is_listed_twice_is_one_as_first_described() -> None:
    twice, _ = await answered([page(entry(1), entry(2), entry(1, size=10))])
    assert [(one.digest, one.size) for one in twice] == [(Digest.of(b"1"), 9), (Digest.of(b"2"), 9)]


async def test_a_later_page_that_is_missing_is_not_left_out() -> None:
    path = f"/v2/app/referrers/{SUBJECT}?page=2"
    for last in (answer("404 Not Found"), answer(headers=[("Content-Type", "text/html")], body=b"<html>")):
        with pytest.raises(Exception, match=r"not found|unreadable"):
            await answered([page(entry(1), link=path), last, page(entry(2))])


async def test_as_somebody_the_same_token_serves_as_for_pulls() -> None:
    async with serve(auth=Bearer({"alice": "marker-password"}, anonymous=set())) as registry:
        stocked(registry)
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            await repository.referrers(SUBJECT)
            await repository.referrers(SUBJECT)
        assert registry.journal.count(kind="token") == 1


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"<html>", b'{"schemaVersion":2}', b'{"schemaVersion":2,"manifests":{}}', index("x"), index({}),
     index(entry(1, digest="sha256:../../x")), index(entry(1, size=-1)), index(entry(1, mediaType=5)),
     index(entry(1)).replace(b"index.v1", b"manifest.v1")],
)  # fmt: skip
async def test_c20_an_api_that_answers_no_index_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        await answered([answer(headers=[("Content-Type", OCI_INDEX)], body=raw)])


async def test_c20_a_tag_that_names_no_index_is_refused() -> None:
    async with serve(manner=OLD) as registry:
        stocked(registry)
        registry.tag(f"app:{TAG}", IMAGE.digest)
        with pytest.raises(ProtocolViolation, match="list of referrers"):
            await found(registry)


async def test_c20_a_hundred_thousand_referrers_are_refused_when_it_is_clear() -> None:
    total, size = 100_000, 5_000

    def script(request: RawRequest) -> bytes:
        start = int(request.path.partition("page=")[2] or 0)
        entries = [entry(number) for number in range(start, min(start + size, total))]
        return page(*entries, link=f"/v2/app/referrers/{SUBJECT}?page={start + size}")

    async with serve_script(script) as raw, opened(f"{raw.host}/app") as repository:
        with pytest.raises(ProtocolViolation, match="too many referrers"):
            await repository.referrers(SUBJECT)
        assert len(raw.requests) == 3


async def test_c20_a_hundred_thousand_entries_under_the_tag_are_refused() -> None:
    raw = index(*[{"mediaType": OCI_MANIFEST, "digest": f"sha256:{n:064x}", "size": 9} for n in range(30_000)])
    with pytest.raises(ProtocolViolation):
        await answered([answer("404 Not Found"), answer(headers=[("Content-Type", OCI_INDEX)], body=raw)])


async def test_c20_an_endless_list_is_cut_off() -> None:
    async with serve(faults=[faults.endless(kind="referrers", times=None)]) as registry:
        stocked(registry)
        with pytest.raises(ProtocolViolation, match="too large"):
            await found(registry)


async def test_c20_pages_without_end_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(referrers, "MAX_PAGES", 10)
    numbers = iter(range(10**6))

    def script(request: RawRequest) -> bytes:
        number = next(numbers)
        return page(entry(number), link=f"/v2/app/referrers/{SUBJECT}?page={number}")

    with pytest.raises(ProtocolViolation, match="no end"):
        await answered(script)


async def test_b9_a_next_page_elsewhere_is_refused_and_shown_nothing() -> None:
    async with serve_canary() as canary, serve(auth=Basic({"alice": "marker-password"})) as registry:
        stocked(registry)
        link = f'<{canary.url}/v2/app/referrers/{SUBJECT}>; rel="next"'
        registry.faults.append(faults.headers(add={"Link": link}, kind="referrers", times=None))
        with pytest.raises(UnsafeRedirect) as caught:
            await found(registry, login=LOGIN, plain_http=[registry.host])
        assert canary.requests == []
        assert "marker" not in str(caught.value)


async def test_a_sha512_subject_is_found_under_the_cut_tag() -> None:
    subject = Digest.of(b"x", "sha512")
    script = [answer("404 Not Found"), page(entry(1))]
    async with serve_script(script) as raw, opened(f"{raw.host}/app") as repository:
        assert len(await repository.referrers(subject)) == 1
        assert raw.requests[1].path == f"/v2/app/manifests/sha512-{subject.hex[:64]}"


async def test_what_the_client_lists_itself_it_finds_again() -> None:
    async with serve(manner=OLD) as registry:
        registry.add("app:1", IMAGE)
        signature = SIGNATURES[0]
        for blob in signature.content():
            if not blob.is_manifest:
                registry.add_blob("app", b"".join(blob.body.chunks()))
        async with opened(registry.name("app")) as repository:
            await repository.put_manifest(signature.raw, described(signature.raw, OCI_MANIFEST), signature.digest)
            (one,) = await repository.referrers(SUBJECT)
    assert (str(one.digest), one.annotations) == (signature.digest, {"n": "0"})
