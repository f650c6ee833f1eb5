"""Distribution-spec 1.1, "Pull": what the registry must answer to pulls."""

from __future__ import annotations

import json

import pytest

from testregistry import images, serve
from testregistry.grammar import digest_of
from tests.testregistry.asking import OCI_MANIFEST, ask, get

LAYER = images.layer({"etc/motd": b"hello\n" * 100})
IMAGE = images.image(LAYER)


async def test_ping_is_200_where_the_api_is_spoken() -> None:
    async with serve() as registry:
        assert (await get(f"{registry.url}/v2/")).status == 200


async def test_a_manifest_is_pulled_by_tag_with_its_own_media_type_and_digest() -> None:
    async with serve() as registry:
        registry.add("team/app:1", IMAGE)
        got = await get(f"{registry.url}/v2/team/app/manifests/1")
    assert got.status == 200
    assert got.body == IMAGE.raw
    assert got.headers["Content-Type"] == OCI_MANIFEST
    assert got.headers["Docker-Content-Digest"] == IMAGE.digest
    assert got.headers["Content-Length"] == str(len(IMAGE.raw))


async def test_a_manifest_is_pulled_by_digest() -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        got = await get(f"{registry.url}/v2/app/manifests/{IMAGE.digest}")
    assert (got.status, got.body) == (200, IMAGE.raw)


async def test_an_image_added_by_digest_only_has_no_tag() -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        assert (await get(f"{registry.url}/v2/app/tags/list")).json() == {"name": "app", "tags": []}


@pytest.mark.parametrize("reference", ["2", ".not-even-a-tag", "sha256:" + "0" * 64])
async def test_an_unknown_manifest_is_404(reference: str) -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        got = await get(f"{registry.url}/v2/app/manifests/{reference}")
    assert got.status == 404
    assert got.codes() == ["MANIFEST_UNKNOWN"]


async def test_an_unknown_repository_is_404() -> None:
    async with serve() as registry:
        got = await get(f"{registry.url}/v2/nobody/manifests/1")
    assert (got.status, got.codes()) == (404, ["NAME_UNKNOWN"])


@pytest.mark.parametrize("name", ["App", "a//b", "-a", "a/../b", "a" * 256, "a/b_", "%2e%2e/a", "a%0a"])
async def test_a_name_that_breaks_the_grammar_is_refused(name: str) -> None:
    async with serve() as registry:
        got = await get(f"{registry.url}/v2/{name}/manifests/1")
    assert (got.status, got.codes()) == (400, ["NAME_INVALID"])


@pytest.mark.parametrize("room", ["manifests", "blobs", "referrers"])
@pytest.mark.parametrize(
    "digest", ["sha256:beef", "md5:" + "0" * 32, "sha256:" + "A" * 64, "sha256:" + "0" * 64 + "%0a"]
)
async def test_a_digest_that_breaks_the_grammar_is_refused(room: str, digest: str) -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        got = await get(f"{registry.url}/v2/app/{room}/{digest}")
    assert (got.status, got.codes()) == (400, ["DIGEST_INVALID"])


async def test_a_blob_is_pulled_by_digest() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        got = await get(f"{registry.url}/v2/app/blobs/{LAYER.digest}")
    assert (got.status, got.body) == (200, LAYER.raw)
    assert got.headers["Docker-Content-Digest"] == LAYER.digest


async def test_an_unknown_blob_is_404() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        got = await get(f"{registry.url}/v2/app/blobs/{digest_of(b'nothing')}")
    assert (got.status, got.codes()) == (404, ["BLOB_UNKNOWN"])


async def test_a_blob_of_another_repository_is_404() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        registry.add_blob("other", b"something")
        assert (await get(f"{registry.url}/v2/other/blobs/{LAYER.digest}")).status == 404


async def test_a_blob_of_a_repository_called_blobs_is_found() -> None:
    async with serve() as registry:
        registry.add("a/blobs/b:1", IMAGE)
        assert (await get(f"{registry.url}/v2/a/blobs/b/blobs/{LAYER.digest}")).status == 200


async def test_sha512_content_is_pulled_by_its_sha512_digest() -> None:
    layer = images.layer({"a": b"b"}, algorithm="sha512")
    image = images.image(layer, algorithm="sha512")
    async with serve() as registry:
        registry.add("app:1", image)
        manifest = await get(f"{registry.url}/v2/app/manifests/{image.digest}")
        blob = await get(f"{registry.url}/v2/app/blobs/{layer.digest}")
    assert image.digest.startswith("sha512:")
    assert (manifest.body, blob.body) == (image.raw, layer.raw)
    assert manifest.headers["Docker-Content-Digest"] == image.digest


@pytest.mark.parametrize("path", ["manifests/1", f"manifests/{IMAGE.digest}", f"blobs/{LAYER.digest}"])
async def test_head_says_what_get_says_without_a_body(path: str) -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        head = await ask("HEAD", f"{registry.url}/v2/app/{path}")
        whole = await get(f"{registry.url}/v2/app/{path}")
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Length", "Content-Type", "Docker-Content-Digest", "ETag"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize("path", ["manifests/2", "blobs/sha256:" + "0" * 64])
async def test_head_of_the_unknown_is_404_without_a_body(path: str) -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        got = await ask("HEAD", f"{registry.url}/v2/app/{path}")
    assert (got.status, got.body) == (404, b"")


async def test_errors_are_documents_with_a_list_of_upper_case_codes() -> None:
    async with serve() as registry:
        got = await get(f"{registry.url}/v2/nobody/blobs/{LAYER.digest}")
    assert got.headers["Content-Type"] == "application/json"
    (error,) = json.loads(got.body)["errors"]
    assert error["code"].replace("_", "").isupper()
    assert error["message"]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("path", ["manifests/1", f"blobs/{LAYER.digest}", "tags/list"])
async def test_a_method_an_endpoint_does_not_know_is_405(method: str, path: str) -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        got = await ask(method, f"{registry.url}/v2/app/{path}")
    assert (got.status, got.codes()) == (405, ["UNSUPPORTED"])
    assert "GET" in got.headers["Allow"]


@pytest.mark.parametrize("path", ["/", "/v1/", "/v2/app", "/v2/app/nothing/1", "/token"])
async def test_a_path_nobody_serves_is_404(path: str) -> None:
    async with serve() as registry:
        assert (await get(f"{registry.url}{path}")).status == 404


@pytest.mark.parametrize("format_", ["oci", "docker"])
async def test_index_and_images_keep_the_media_type_of_their_format(format_: images.Format) -> None:
    image = images.image(LAYER, format=format_)
    index = images.index(image, format=format_)
    async with serve() as registry:
        registry.add("app:1", index)
        root = await get(f"{registry.url}/v2/app/manifests/1")
        (entry,) = root.json()["manifests"]
        child = await get(f"{registry.url}/v2/app/manifests/{entry['digest']}")
    assert root.headers["Content-Type"] == index.media_type == root.json()["mediaType"]
    assert child.headers["Content-Type"] == image.media_type == entry["mediaType"]
