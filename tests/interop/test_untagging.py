"""Tags taken away at Debian's docker-registry, which deletes digests only: the other tags stay, skopeo agrees."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from bench.registry import serve
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from testregistry import images
from tests.registry.scene import described
from tests.tools import skipping_without_tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

IMAGE = images.image(images.layer({"a": b"b"}))
DIGEST = Digest.parse(IMAGE.digest)


@pytest.fixture
async def client() -> AsyncIterator[RegistryClient]:
    async with RegistryClient() as client:
        yield client


async def stocked(client: RegistryClient, name: str, *tags: str) -> None:
    repository = client.repository(Reference.parse(name))
    for content in IMAGE.content():
        if not content.is_manifest:
            raw = b"".join(content.body.chunks())
            async with repository.ingest(described(raw)) as ingest:
                if ingest is not None:
                    await ingest.write(raw)
                    await ingest.commit()
    for tag in tags:
        await repository.put_manifest(IMAGE.raw, described(IMAGE.raw, IMAGE.media_type), tag)


async def skopeo(verb: str, *words: str) -> bytes:
    return (await anyio.run_process(["skopeo", verb, "--tls-verify=false", *words])).stdout


async def test_a_tag_goes_alone_and_the_registry_keeps_nothing_of_ours(client: RegistryClient, tmp_path: Path) -> None:
    with skipping_without_tools():
        with serve(tmp_path / "data", tmp_path / "log") as registry:
            name = f"{registry.host}/team/app"
            await stocked(client, name, "old", "older", "shared")
            repository = client.repository(Reference.parse(name))
            await repository.untag("old", DIGEST)
            await repository.untag("older", DIGEST)
            assert [tag async for tag in repository.tags()] == ["shared"]
            assert await repository.named("shared") == DIGEST
            assert await repository.referrers(DIGEST) == ()
            assert [found async for found in client.catalog(registry.host)] == ["team/app"]
            if shutil.which("skopeo") is None:
                pytest.skip("skopeo is not installed")
            assert await skopeo("inspect", "--raw", f"docker://{name}:shared") == IMAGE.raw
            assert json.loads(await skopeo("list-tags", f"docker://{name}"))["Tags"] == ["shared"]


async def test_a_blob_of_another_repository_is_mounted_with_one_request(client: RegistryClient, tmp_path: Path) -> None:
    with skipping_without_tools():
        with serve(tmp_path / "data", tmp_path / "log") as registry:
            await stocked(client, f"{registry.host}/base", "1")
            before = len(registry.requests())
            target = client.repository(Reference.parse(f"{registry.host}/app"), lenders=lambda digest: "base")
            for layer in IMAGE.layers:
                async with target.ingest(described(layer.raw)) as ingest:
                    assert ingest is None
                assert target.was_mounted(Digest.parse(layer.digest))
            asked = [(request.method, request.status) for request in registry.requests()[before:]]
            assert asked == [("POST", 201)] * len(IMAGE.layers)
