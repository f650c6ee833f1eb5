"""Referrers: manifests with a subject, listed by the client where the registry does not (distribution-spec 1.1)."""

import json
import logging
from typing import Any

import pytest

from puller.errors import RegistryError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.referrer import tag_of
from puller.registry.repository import Repository
from testregistry import Manner, TestRegistry, faults, images, serve
from testregistry.images import Artifact
from tests.registry.bringing import target

IMAGE = images.image(images.layer({"a": b"b"}))
TAG = IMAGE.digest.replace(":", "-")
OLD = Manner(referrers=False)
SIGNATURE = images.artifact(artifact_type="a/sig", annotations={"k": "v"}, subject=IMAGE)


async def push(registry: TestRegistry, repository: Repository, root: Artifact, name: str | None = None) -> None:
    for content in root.content():
        if not content.is_manifest:
            registry.add_blob("app", b"".join(content.body.chunks()))
    digest = Digest.parse(root.digest)
    await repository.put_manifest(root.raw, Descriptor(root.media_type, digest, len(root.raw)), name or root.digest)


def listed(registry: TestRegistry, tag: str = TAG) -> list[dict[str, Any]]:
    found = registry.storage.manifest("app", tag)
    assert found is not None
    assert found[0].media_type == "application/vnd.oci.image.index.v1+json"
    document = json.loads(found[0].raw)
    assert (document["schemaVersion"], document["mediaType"]) == (2, found[0].media_type)
    entries: list[dict[str, Any]] = document["manifests"]
    return entries


async def test_a_registry_with_referrers_needs_no_list() -> None:
    async with serve() as registry, target(registry) as repository:
        await push(registry, repository, SIGNATURE)
        assert [request.path for request in registry.journal] == [f"/v2/app/manifests/{SIGNATURE.digest}"]


async def test_without_them_the_manifest_goes_into_the_list_of_its_subject_with_type_and_annotations() -> None:
    async with serve(manner=OLD) as registry, target(registry) as repository:
        await push(registry, repository, SIGNATURE)
        assert listed(registry) == [
            {
                "mediaType": SIGNATURE.media_type,
                "digest": SIGNATURE.digest,
                "size": len(SIGNATURE.raw),
                "artifactType": "a/sig",
                "annotations": {"k": "v"},
            }
        ]


async def test_what_is_listed_already_stays_and_is_not_listed_twice() -> None:
    other = images.artifact(artifact_type="a/sbom", subject=IMAGE)
    async with serve(manner=OLD) as registry, target(registry) as repository:
        await push(registry, repository, other)
        await push(registry, repository, SIGNATURE)
        await push(registry, repository, SIGNATURE, "sig")
        assert [entry["digest"] for entry in listed(registry)] == [other.digest, SIGNATURE.digest]


async def test_without_an_artifact_type_the_configs_type_stands_in() -> None:
    child = images.image(subject=IMAGE)
    async with serve(manner=OLD) as registry, target(registry) as repository:
        await push(registry, repository, child)  # type: ignore[arg-type]  # any image
        (entry,) = listed(registry)
    assert entry["artifactType"] == child.config.media_type
    assert "annotations" not in entry


async def test_a_manifest_without_a_subject_changes_no_list() -> None:
    async with serve(manner=OLD) as registry, target(registry) as repository:
        await push(registry, repository, images.artifact(artifact_type="a/sig"))
        assert registry.journal.count(method="GET") == 0


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_tag_is_algorithm_and_64_characters(algorithm: str) -> None:
    subject = Digest.of(b"x", algorithm)
    assert tag_of(subject) == f"{algorithm}-{subject.hex[:64]}"


async def test_a_tag_that_names_something_else_is_left_alone_and_told(caplog: pytest.LogCaptureFixture) -> None:
    async with serve(manner=OLD) as registry, target(registry) as repository:
        registry.add(f"app:{TAG}", IMAGE)
        with caplog.at_level(logging.WARNING, "puller"):
            await push(registry, repository, SIGNATURE)
        assert registry.storage.find("app").tags[TAG] == IMAGE.digest  # type: ignore[union-attr]  # None fails the test
    assert "not listed among the referrers of its subject" in caplog.text


@pytest.mark.parametrize("code", [401, 403, 500])
async def test_a_list_that_cannot_be_changed_is_told_and_the_push_stands(
    caplog: pytest.LogCaptureFixture, code: int
) -> None:
    fault = faults.status(code, kind="manifest", path=TAG, method="PUT", times=None)
    async with serve(manner=OLD, faults=[fault]) as registry, target(registry) as repository:
        with caplog.at_level(logging.WARNING, "puller"):
            await push(registry, repository, SIGNATURE)
        assert registry.storage.manifest("app", SIGNATURE.digest) is not None
    assert SIGNATURE.digest in caplog.text


async def test_a_push_that_is_refused_lists_nothing() -> None:
    async with serve(manner=OLD) as registry, target(registry) as repository:
        digest = Digest.parse(SIGNATURE.digest)
        with pytest.raises(RegistryError):  # its blobs are not there
            await repository.put_manifest(
                SIGNATURE.raw, Descriptor(SIGNATURE.media_type, digest, len(SIGNATURE.raw)), "sig"
            )
        assert registry.storage.manifest("app", TAG) is None
