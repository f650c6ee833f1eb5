"""Directory storage outlives the registry; both kinds of storage serve the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from testregistry import images, serve
from testregistry.grammar import digest_of
from tests.testregistry.asking import absolute, ask, get, with_digest

LAYER = images.layer({"a": b"b" * 1000})
IMAGE = images.image(LAYER)


async def test_content_tags_and_referrers_are_there_after_a_restart(tmp_path: Path) -> None:
    signature = images.artifact(subject=IMAGE)
    async with serve(data=tmp_path) as registry:
        registry.add("team/app:1", IMAGE)
        registry.add("team/app", signature)
    async with serve(data=tmp_path) as registry:
        base = f"{registry.url}/v2/team/app"
        manifest = await get(f"{base}/manifests/1")
        assert (manifest.body, manifest.headers["Content-Type"]) == (IMAGE.raw, IMAGE.media_type)
        assert (await get(f"{base}/blobs/{LAYER.digest}")).body == LAYER.raw
        assert (await get(f"{base}/tags/list")).json()["tags"] == ["1"]
        (found,) = (await get(f"{base}/referrers/{IMAGE.digest}")).json()["manifests"]
        assert found["digest"] == signature.digest


async def test_what_was_deleted_stays_deleted_after_a_restart(tmp_path: Path) -> None:
    async with serve(data=tmp_path) as registry:
        registry.add("app:1", IMAGE)
        registry.add("app:2", IMAGE)
        await ask("DELETE", f"{registry.url}/v2/app/manifests/1")
        await ask("DELETE", f"{registry.url}/v2/app/blobs/{LAYER.digest}")
    async with serve(data=tmp_path) as registry:
        assert (await get(f"{registry.url}/v2/app/tags/list")).json()["tags"] == ["2"]
        assert (await get(f"{registry.url}/v2/app/blobs/{LAYER.digest}")).status == 404


async def test_a_blob_nobody_links_any_more_leaves_the_disk(tmp_path: Path) -> None:
    async with serve(data=tmp_path) as registry:
        digest = registry.add_blob("app", b"content")
        registry.add_blob("other", b"content")
        for name, remains in (("app", True), ("other", False)):
            await ask("DELETE", f"{registry.url}/v2/{name}/blobs/{digest}")
            assert (tmp_path / "blobs" / "sha256" / digest.removeprefix("sha256:")).exists() == remains


@pytest.mark.parametrize("on_disk", [False, True])
async def test_an_upload_is_stored_whole_and_its_draft_is_gone(tmp_path: Path, on_disk: bool) -> None:
    content = b"0123456789" * 100_000
    async with serve(data=tmp_path if on_disk else None) as registry:
        started = await ask("POST", f"{registry.url}/v2/app/blobs/uploads/")
        location = absolute(registry.url, started.headers["Location"])
        assert (await ask("PUT", with_digest(location, digest_of(content)), data=content)).status == 201
        assert (
            await get(f"{registry.url}/v2/app/blobs/{digest_of(content)}", Range="bytes=999990-")
        ).body == b"0123456789"
    assert not on_disk or list((tmp_path / "uploads").iterdir()) == []


async def test_an_unfinished_upload_is_swept_at_the_next_start(tmp_path: Path) -> None:
    async with serve(data=tmp_path) as registry:
        await ask("POST", f"{registry.url}/v2/app/blobs/uploads/")
        assert len(list((tmp_path / "uploads").iterdir())) == 1
    async with serve(data=tmp_path):
        assert list((tmp_path / "uploads").iterdir()) == []


@pytest.mark.parametrize("on_disk", [False, True])
async def test_corrupt_serves_other_bytes_under_the_digest(tmp_path: Path, on_disk: bool) -> None:
    async with serve(data=tmp_path if on_disk else None) as registry:
        registry.add("app:1", IMAGE)
        registry.corrupt("app", LAYER.digest, b"lies")
        registry.corrupt("app", IMAGE.digest, b"{}")
        blob = await get(f"{registry.url}/v2/app/blobs/{LAYER.digest}")
        manifest = await get(f"{registry.url}/v2/app/manifests/1")
    assert (blob.body, blob.headers["Docker-Content-Digest"]) == (b"lies", LAYER.digest)
    assert (manifest.body, manifest.headers["Docker-Content-Digest"]) == (b"{}", IMAGE.digest)


async def test_hostile_manifests_can_be_added_under_any_type_and_digest() -> None:
    async with serve() as registry:
        digest = registry.add_manifest("app", b"not json", "text/html", "1", digest="sha256:" + "1" * 64)
        got = await get(f"{registry.url}/v2/app/manifests/1")
    assert (got.body, got.headers["Content-Type"]) == (b"not json", "text/html")
    assert got.headers["Docker-Content-Digest"] == digest == "sha256:" + "1" * 64


async def test_a_tag_may_name_what_is_not_there() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        registry.tag("app:2", digest_of(b"nothing"))
        assert (await get(f"{registry.url}/v2/app/manifests/2")).status == 404


async def test_add_returns_the_digest_and_name_makes_a_full_reference() -> None:
    async with serve() as registry:
        assert registry.add("app:1", IMAGE) == IMAGE.digest
        assert registry.name("app:1") == f"{registry.host}/app:1"
        assert registry.url == f"http://{registry.host}"
