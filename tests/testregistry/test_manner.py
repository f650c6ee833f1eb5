"""What distribution-spec 1.1 leaves to a registry, one choice at a time: what is off, paged, said."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from testregistry import Manner, Request, TestRegistry, errors, images, serve
from testregistry.grammar import digest_of
from testregistry.manner import WARNING_LIMIT, Kind
from tests.conftest import ROOT
from tests.testregistry.asking import OCI_INDEX, OCI_MANIFEST, Got, absolute, ask, get, with_digest

LAYER = images.layer({"a": b"b"})
IMAGE = images.image(LAYER)
CONTENT = b"0123456789" * 50
DIGEST = digest_of(CONTENT)
CODES = {
    *("BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN"),
    *("MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED"),
    *("DENIED", "UNSUPPORTED", "TOOMANYREQUESTS"),
}  # "Error Codes", code-1 to code-14


async def start(registry: TestRegistry, query: str = "") -> Got:
    got = await ask("POST", f"{registry.url}/v2/app/blobs/uploads/{query}", headers={"Content-Length": "0"})
    assert got.status == 202
    return got


async def chunk(location: str, first: int, last: int) -> Got:
    return await ask("PATCH", location, headers={"Content-Range": f"{first}-{last}"}, data=CONTENT[first : last + 1])


def next_of(got: Got, base: str) -> str | None:
    link = got.headers.get("Link")
    if link is None:
        return None
    assert link.endswith('>; rel="next"')
    return absolute(base, link[1 : link.index(">")])


@pytest.mark.parametrize(
    ("kind", "path"),
    [("tags", "manifests/1"), ("manifests", f"manifests/{IMAGE.digest}"), ("blobs", f"blobs/{LAYER.digest}")],
)
async def test_what_may_not_be_deleted_is_405_and_stays(kind: Kind, path: str) -> None:
    every: frozenset[Kind] = Manner().deletes
    async with serve(manner=Manner(deletes=every - {kind})) as registry:
        registry.add("app:1", IMAGE)
        got = await ask("DELETE", f"{registry.url}/v2/app/{path}")
        assert (got.status, got.codes()) == (405, ["UNSUPPORTED"])
        assert (await ask("HEAD", f"{registry.url}/v2/app/{path}")).status == 200


async def test_referrers_come_in_pages_that_links_lead_through() -> None:
    signatures = [images.artifact(artifact_type="a/sig", annotations={"n": str(n)}, subject=IMAGE) for n in range(5)]
    async with serve(manner=Manner(referrers_page=2)) as registry:
        for signature in signatures:
            registry.add("app", signature)
        seen: list[str] = []
        url: str | None = f"{registry.url}/v2/app/referrers/{IMAGE.digest}"
        while url is not None:
            got = await get(url)
            assert got.headers["Content-Type"] == OCI_INDEX
            assert 0 < len(got.json()["manifests"]) <= 2
            seen += [found["digest"] for found in got.json()["manifests"]]
            url = next_of(got, registry.url)
    assert seen == sorted(signature.digest for signature in signatures)


async def test_a_filter_holds_for_the_pages_that_follow() -> None:
    async with serve(manner=Manner(referrers_page=1)) as registry:
        for n in range(3):
            registry.add("app", images.artifact(artifact_type="a/one", annotations={"n": str(n)}, subject=IMAGE))
            registry.add("app", images.artifact(artifact_type="a/two", annotations={"n": str(n)}, subject=IMAGE))
        kinds: list[str] = []
        url: str | None = f"{registry.url}/v2/app/referrers/{IMAGE.digest}?artifactType=a/two"
        while url is not None:
            got = await get(url)
            assert got.headers["OCI-Filters-Applied"] == "artifactType"
            kinds += [found["artifactType"] for found in got.json()["manifests"]]
            url = next_of(got, registry.url)
    assert kinds == ["a/two"] * 3


async def test_a_filter_that_is_not_applied_is_not_said_to_be() -> None:
    async with serve(manner=Manner(filters=False)) as registry:
        registry.add("app", images.artifact(artifact_type="a/one", subject=IMAGE))
        got = await get(f"{registry.url}/v2/app/referrers/{IMAGE.digest}?artifactType=a/two")
    assert len(got.json()["manifests"]) == 1
    assert "OCI-Filters-Applied" not in got.headers


async def test_a_registry_without_referrers_says_404_and_promises_nothing_of_subjects() -> None:
    signature = images.artifact(subject=IMAGE)
    async with serve(manner=Manner(referrers=False)) as registry:
        registry.add("app", images.artifact())
        put = await ask(
            "PUT",
            f"{registry.url}/v2/app/manifests/sig",
            headers={"Content-Type": OCI_MANIFEST},
            data=signature.raw,
        )
        assert (put.status, "OCI-Subject" in put.headers) == (201, False)
        assert (await get(f"{registry.url}/v2/app/referrers/{IMAGE.digest}")).status == 404


async def test_subjects_pushed_before_the_referrers_api_was_there_are_listed_once_it_is(tmp_path: Path) -> None:
    old, new = images.artifact(subject=IMAGE), images.artifact(artifact_type="a/new", subject=IMAGE)
    tag = IMAGE.digest.replace(":", "-")  # the referrers tag schema
    async with serve(data=tmp_path, manner=Manner(referrers=False)) as registry:
        registry.add("app", old)
        registry.add(f"app:{tag}", images.index(old))
    async with serve(data=tmp_path) as registry:
        registry.add("app", new)
        got = await get(f"{registry.url}/v2/app/referrers/{IMAGE.digest}")
    assert {found["digest"] for found in got.json()["manifests"]} == {old.digest, new.digest}


async def test_a_page_may_be_shorter_than_asked_for_where_a_link_leads_on() -> None:
    async with serve(manner=Manner(list_page=2)) as registry:
        for tag in "abcde":
            registry.add(f"app:{tag}", IMAGE)
        pages: list[list[str]] = []
        url: str | None = f"{registry.url}/v2/app/tags/list?n=4"
        while url is not None:
            got = await get(url)
            pages.append(got.json()["tags"])
            url = next_of(got, registry.url)
    assert pages == [["a", "b"], ["c", "d"], ["e"]]


async def test_last_is_a_tag_and_never_a_place_in_the_list() -> None:
    async with serve() as registry:
        for tag in ("1", "2", "a", "b"):
            registry.add(f"app:{tag}", IMAGE)
        got = await get(f"{registry.url}/v2/app/tags/list?n=2&last=2")
    assert got.json()["tags"] == ["a", "b"]


async def test_the_least_length_of_chunks_is_told_where_an_upload_begins() -> None:
    async with serve(manner=Manner(chunk_min=100)) as registry:
        assert (await start(registry)).headers["OCI-Chunk-Min-Length"] == "100"
    async with serve() as registry:
        assert "OCI-Chunk-Min-Length" not in (await start(registry)).headers


async def test_only_the_last_chunk_may_be_shorter_than_that() -> None:
    async with serve(manner=Manner(chunk_min=100)) as registry:
        location = absolute(registry.url, (await start(registry)).headers["Location"])
        assert (await chunk(location, 0, 199)).status == 202
        assert (await chunk(location, 200, 250)).status == 202
        refused = await chunk(location, 251, 499)
        assert (refused.status, refused.headers["Range"]) == (416, "0-250")
        closing = await ask("PUT", with_digest(location, DIGEST), data=CONTENT[251:])
        assert closing.status == 416
        whole = await ask("PUT", with_digest(location, digest_of(CONTENT[:251])), headers={"Content-Length": "0"})
        assert whole.status == 201


async def test_without_one_request_pushes_a_post_begins_an_upload_that_a_put_ends() -> None:
    async with serve(manner=Manner(single_post=False)) as registry:
        began = await ask("POST", f"{registry.url}/v2/app/blobs/uploads/?digest={DIGEST}", data=CONTENT)
        assert began.status == 202
        location = absolute(registry.url, began.headers["Location"])
        assert (await ask("PUT", with_digest(location, DIGEST), data=CONTENT)).status == 201


async def test_a_registry_that_mounts_nothing_begins_an_upload() -> None:
    async with serve(manner=Manner(mounts=False)) as registry:
        registry.add_blob("source", CONTENT)
        got = await start(registry, f"?mount={DIGEST}&from=source")
        assert "Location" in got.headers


@pytest.mark.parametrize("path", ["/v2/", "/v2/app/manifests/1", "/v2/app/manifests/2", "/v2/app/tags/list"])
async def test_warnings_go_with_every_answer_in_the_one_form_there_is(path: str) -> None:
    async with serve(manner=Manner(warnings=('say "old"', "second"))) as registry:
        registry.add("app:1", IMAGE)
        got = await get(f"{registry.url}{path}")
    assert got.headers.getall("Warning") == ['299 - "say \\"old\\""', '299 - "second"']


def test_more_warnings_than_the_limit_cannot_be_told() -> None:
    frame = len('299 - ""')
    assert Manner(warnings=("a" * (WARNING_LIMIT - frame),)).warning_headers()
    for texts in [("a" * (WARNING_LIMIT - frame + 1),), ("a" * 2048, "b" * 2048)]:
        with pytest.raises(ValueError, match="4096"):
            Manner(warnings=texts)


@pytest.mark.parametrize("text", ["two\nlines", "ä", "\0"])
def test_a_warning_is_a_line_of_ascii(text: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        Manner(warnings=(text,))


@pytest.mark.parametrize("make", [lambda: Manner(list_page=0), lambda: Manner(referrers_page=0)])
def test_a_page_of_nothing_is_refused(make: Callable[[], Manner]) -> None:
    with pytest.raises(ValueError, match="one entry"):
        make()


def test_every_error_code_in_the_registry_is_one_of_the_specification() -> None:
    tree = ast.parse(Path(errors.__file__).read_text("utf-8"))
    others = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "testregistry").glob("*.py")]
    made = {
        call.args[1].value
        for source in [tree, *others]
        for call in ast.walk(source)
        if isinstance(call, ast.Call)
        and (getattr(call.func, "id", "") == "Refusal" or getattr(call.func, "attr", "") == "Refusal")
        and len(call.args) > 1
        and isinstance(call.args[1], ast.Constant)
    }
    assert {str(code) for code in made} <= CODES
    assert len(made) > 10
    assert all(re.fullmatch("[A-Z_]+", str(code)) for code in made)


@pytest.mark.parametrize("suffix", ["; charset=utf-8", ' ;profile="x"'])
async def test_parameters_of_a_pushed_media_type_are_not_looked_at_and_not_given_back(suffix: str) -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        headers = {"Content-Type": OCI_MANIFEST + suffix}
        got = await ask("PUT", f"{registry.url}/v2/app/manifests/1", headers=headers, data=IMAGE.raw)
        assert got.status == 201
        pulled = await get(f"{registry.url}/v2/app/manifests/1")
    assert pulled.headers["Content-Type"] == OCI_MANIFEST


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_the_digest_told_of_a_pushed_manifest_is_the_one_it_was_pushed_by(algorithm: str) -> None:
    image = images.image(LAYER, algorithm=algorithm)
    async with serve() as registry:
        registry.add("app", image)
        headers = {"Content-Type": OCI_MANIFEST}
        got = await ask("PUT", f"{registry.url}/v2/app/manifests/{image.digest}", headers=headers, data=image.raw)
    assert got.headers["Docker-Content-Digest"] == image.digest


async def test_an_upload_is_told_by_a_uuid() -> None:
    uuid = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    async with serve() as registry:
        assert uuid.search((await start(registry)).headers["Location"])


async def test_a_one_request_push_that_ends_before_its_length_stores_nothing() -> None:
    async with serve() as registry:
        arrived: asyncio.Queue[Request] = asyncio.Queue()
        registry.on_request.append(arrived.put_nowait)
        parts = urlsplit(registry.url)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        short = digest_of(CONTENT[:100])
        head = f"POST /v2/app/blobs/uploads/?digest={short} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"
        writer.write(head.encode() + CONTENT[:100])
        await writer.drain()
        await arrived.get()
        writer.transport.abort()
        assert (await get(f"{registry.url}/v2/app/blobs/{short}")).status == 404


@pytest.mark.parametrize("n", [1, 3])
async def test_a_page_has_as_many_entries_as_asked_for_while_there_are_more(n: int) -> None:
    async with serve() as registry:
        for tag in "abcde":
            registry.add(f"app:{tag}", IMAGE)
        got = await get(f"{registry.url}/v2/app/tags/list?n={n}")
    assert got.json()["tags"] == list("abcde")[:n]
