"""Distribution-spec 1.1, "Content Management": deleting tags, manifests, blobs."""

from __future__ import annotations

import pytest

from testregistry import Manner, images, serve
from testregistry.grammar import digest_of
from tests.testregistry.asking import ask, get

LAYER = images.layer({"a": b"b"})
IMAGE = images.image(LAYER)


async def test_deleting_a_tag_is_202_and_leaves_the_manifest() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        registry.add("app:2", IMAGE)
        assert (await ask("DELETE", f"{registry.url}/v2/app/manifests/1")).status == 202
        assert (await get(f"{registry.url}/v2/app/manifests/1")).status == 404
        assert (await get(f"{registry.url}/v2/app/manifests/{IMAGE.digest}")).status == 200
        assert (await get(f"{registry.url}/v2/app/tags/list")).json()["tags"] == ["2"]


async def test_deleting_a_manifest_is_202_and_takes_its_tags_along() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        assert (await ask("DELETE", f"{registry.url}/v2/app/manifests/{IMAGE.digest}")).status == 202
        assert (await get(f"{registry.url}/v2/app/manifests/{IMAGE.digest}")).status == 404
        assert (await get(f"{registry.url}/v2/app/manifests/1")).status == 404
        assert (await get(f"{registry.url}/v2/app/tags/list")).json()["tags"] == []


async def test_deleting_a_blob_is_202_and_touches_no_other_repository() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        registry.add("other:1", IMAGE)
        assert (await ask("DELETE", f"{registry.url}/v2/app/blobs/{LAYER.digest}")).status == 202
        assert (await ask("HEAD", f"{registry.url}/v2/app/blobs/{LAYER.digest}")).status == 404
        assert (await ask("HEAD", f"{registry.url}/v2/other/blobs/{LAYER.digest}")).status == 200


@pytest.mark.parametrize("path", ["manifests/2", f"manifests/{digest_of(b'x')}", f"blobs/{digest_of(b'x')}"])
async def test_deleting_the_unknown_is_404(path: str) -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        assert (await ask("DELETE", f"{registry.url}/v2/app/{path}")).status == 404


@pytest.mark.parametrize("path", ["manifests/1", f"blobs/{LAYER.digest}"])
async def test_deleting_in_an_unknown_repository_is_404(path: str) -> None:
    async with serve() as registry:
        got = await ask("DELETE", f"{registry.url}/v2/nobody/{path}")
    assert (got.status, got.codes()) == (404, ["NAME_UNKNOWN"])


async def test_where_only_digests_are_deleted_a_tag_is_refused_as_docker_registry_2_does() -> None:
    async with serve(manner=Manner(digests_only=True)) as registry:
        registry.add("app:1", IMAGE)
        got = await ask("DELETE", f"{registry.url}/v2/app/manifests/1")
        assert (got.status, got.codes()) == (400, ["DIGEST_INVALID"])
        assert (await get(f"{registry.url}/v2/app/manifests/1")).status == 200
        assert (await ask("DELETE", f"{registry.url}/v2/app/manifests/{IMAGE.digest}")).status == 202
        assert (await get(f"{registry.url}/v2/app/manifests/1")).status == 404


async def test_where_nothing_is_deleted_neither_is_a_tag_that_would_be_taken_for_a_digest() -> None:
    async with serve(manner=Manner(deletes=frozenset(), digests_only=True)) as registry:
        registry.add("app:1", IMAGE)
        got = await ask("DELETE", f"{registry.url}/v2/app/manifests/1")
        assert (got.status, got.codes()) == (405, ["UNSUPPORTED"])
