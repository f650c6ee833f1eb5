"""What a registry claims of its content: rows N22 to N24, threats C1 to C4, C7 and C8 as far as a fetch can tell."""

import json

import pytest

from puller.errors import (
    DigestMismatch,
    MediaTypeMismatch,
    ProtocolViolation,
    SizeMismatch,
    Unauthorized,
)
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, SCHEMA1_SIGNED
from puller.registry.repository import Repository
from testregistry import faults, images, serve
from tests.registry.scene import (
    MANIFEST,
    MANIFEST_DESCRIPTOR,
    content,
    described,
    fetched,
    fetched_from,
    opened,
    reference,
)

BLOB = content(100_000)


# N22, C1, C2, C3: what the registry claims of its content -----------------------------------------------------------


async def test_c1_a_pinned_digest_is_checked_although_the_header_agrees() -> None:
    async with serve() as registry:
        digest = registry.add_manifest("app", MANIFEST, OCI_MANIFEST)
        registry.corrupt("app", digest, MANIFEST.replace(b"[]", b"{}"))
        registry.faults.append(
            faults.headers(add={"Docker-Content-Digest": digest}, remove=["Docker-Content-Digest"], times=None)
        )
        async with opened(registry.name("app")) as repository:
            with pytest.raises(DigestMismatch):
                await repository.resolve(reference(registry, f"app@{digest}"))


async def test_n22_a_wrong_digest_header_is_refused_although_the_body_is_right() -> None:
    async with serve() as registry:
        digest = registry.add_manifest("app", MANIFEST, OCI_MANIFEST)
        other = {"Docker-Content-Digest": str(Digest.of(b"other"))}
        registry.faults.append(faults.headers(add=other, remove=list(other), times=None))
        async with opened(registry.name("app")) as repository:
            with pytest.raises(DigestMismatch):
                await repository.resolve(reference(registry, f"app@{digest}"))
            with pytest.raises(DigestMismatch):
                await fetched(repository, MANIFEST_DESCRIPTOR)


async def test_n22_a_wrong_digest_header_on_a_blob_is_refused() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        other = {"Docker-Content-Digest": str(Digest.of(b"other"))}
        registry.faults.append(faults.headers(add=other, remove=list(other), times=None))
        async with opened(registry.name("app")) as repository:
            with pytest.raises(DigestMismatch):
                await fetched(repository, described(BLOB))


async def test_n22_a_missing_digest_header_is_no_harm() -> None:
    async with serve(faults=[faults.headers(remove=["Docker-Content-Digest"], times=None)]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            descriptor = await repository.resolve(reference(registry, "app:1"))
            assert descriptor == MANIFEST_DESCRIPTOR
            assert await fetched(repository, descriptor) == MANIFEST
        assert [r.method for r in registry.journal] == ["HEAD", "GET"]


async def test_n22_two_digest_headers_that_differ_are_refused() -> None:
    add = {"Docker-Content-Digest": str(Digest.of(b"other"))}
    async with serve(faults=[faults.headers(add=add, times=None)]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            with pytest.raises(ProtocolViolation):
                await repository.resolve(reference(registry, "app:1"))
            with pytest.raises(ProtocolViolation):
                await fetched(repository, MANIFEST_DESCRIPTOR)


async def test_n22_a_digest_of_an_unknown_algorithm_is_not_used() -> None:
    header = {"Docker-Content-Digest": "blake3:" + "0" * 64}
    async with serve(faults=[faults.headers(add=header, remove=list(header), times=None)]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            assert await repository.resolve(reference(registry, "app:1")) == MANIFEST_DESCRIPTOR


async def test_c2_a_digest_wins_over_the_tag_beside_it() -> None:
    async with serve() as registry:
        pinned = registry.add_manifest("app", MANIFEST, OCI_MANIFEST)
        registry.add_manifest("app", MANIFEST + b" ", OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            descriptor = await repository.resolve(reference(registry, f"app:1@{pinned}"))
        assert str(descriptor.digest) == pinned
        assert all("/manifests/1" not in request.path for request in registry.journal)


async def test_c3_a_tag_that_moves_after_it_was_resolved_changes_nothing() -> None:
    async with serve() as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        later = registry.add_manifest("app", MANIFEST + b" ", OCI_MANIFEST)
        registry.on_answer.append(lambda request: registry.tag("app:1", later))
        async with opened(registry.name("app")) as repository:
            descriptor = await repository.resolve(reference(registry, "app:1"))
            assert await fetched(repository, descriptor) == MANIFEST


async def test_c3_a_tag_that_moves_between_head_and_get_gives_one_consistent_descriptor() -> None:
    async with serve(faults=[faults.status(405, method="HEAD")]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        other = MANIFEST.replace(b"[]", b"[ ]")
        later = registry.add_manifest("app", other, OCI_MANIFEST)
        registry.on_answer.append(lambda request: registry.tag("app:1", later))
        async with opened(registry.name("app")) as repository:
            descriptor = await repository.resolve(reference(registry, "app:1"))
            raw = await fetched(repository, descriptor)
        assert Digest.of(raw) == descriptor.digest
        assert len(raw) == descriptor.size


# N23, N24: registries that say less ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 405, 501])
async def test_n24_a_registry_without_head_is_asked_by_get(status: int) -> None:
    async with serve(faults=[faults.status(status, method="HEAD", times=None)]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            descriptor = await repository.resolve(reference(registry, "app:1"))
            assert await fetched(repository, descriptor) == MANIFEST
        assert [r.method for r in registry.journal] == ["HEAD", "GET"]


async def test_n24_a_head_without_length_is_followed_by_get() -> None:
    async with serve(faults=[faults.no_length(method="HEAD")]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            assert await repository.resolve(reference(registry, "app:1")) == MANIFEST_DESCRIPTOR


@pytest.mark.parametrize(
    "content_type",
    [
        f"{OCI_MANIFEST}; charset=utf-8",
        OCI_MANIFEST.upper(),
        f" {OCI_MANIFEST} ",
        "application/json",
        "application/octet-stream",
        "",
        None,
    ],
)
async def test_n23_content_type_with_parameters_in_capitals_or_missing_is_understood(content_type: str | None) -> None:
    add = {} if content_type is None else {"Content-Type": content_type}
    async with serve(faults=[faults.headers(add=add, remove=["Content-Type"], times=None)]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            assert await repository.resolve(reference(registry, "app:1")) == MANIFEST_DESCRIPTOR
            assert await fetched(repository, MANIFEST_DESCRIPTOR) == MANIFEST


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, SCHEMA1_SIGNED])
async def test_c4_a_manifest_under_another_manifest_type_is_refused(kind: str) -> None:
    async with serve() as registry:
        registry.add_manifest("app", MANIFEST, kind)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(MediaTypeMismatch):
                await fetched(repository, MANIFEST_DESCRIPTOR)


async def test_a_schema_1_answer_is_described_as_what_it_is() -> None:
    image = images.schema1(images.layer({"a": b"x"}))
    async with serve() as registry:
        digest = registry.add("app:1", image)
        async with opened(registry.name("app")) as repository:
            by_tag = await repository.resolve(reference(registry, "app:1"))
            by_digest = await repository.resolve(reference(registry, f"app@{digest}"))
    assert by_tag == by_digest
    assert (by_tag.media_type, str(by_tag.digest)) == (SCHEMA1_SIGNED, digest)


# C7, C8: sizes that lie ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, len(BLOB) - 1, len(BLOB) + 1, 2 * len(BLOB)])
@pytest.mark.parametrize("framed", [True, False])
async def test_c8_a_descriptor_that_lies_about_the_size_is_noticed(size: int, framed: bool) -> None:
    async with serve(faults=[] if framed else [faults.no_length(times=None)]) as registry:
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(SizeMismatch):
                await fetched(repository, described(BLOB, size=size))


async def received_until_refused(repository: Repository, wanted: Descriptor) -> int:
    received = 0
    try:
        async with repository.fetch(wanted) as body:
            async for chunk in body:
                received += len(chunk)
    except SizeMismatch:
        return received
    pytest.fail("nothing was refused")


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_c8_no_byte_beyond_the_promised_size_is_given(size: int) -> None:
    async with serve(faults=[faults.endless(times=None)]) as registry:
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app")) as repository:
            received = await received_until_refused(repository, described(BLOB, size=size))
    assert received <= size


async def test_c7_an_endless_manifest_is_not_resolved() -> None:
    async with serve(faults=[faults.endless(times=None)]) as registry:
        digest = registry.add_manifest("app", MANIFEST, OCI_MANIFEST)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(ProtocolViolation, match="too large"):
                await repository.resolve(reference(registry, f"app@{digest}"))
        assert sum(request.bytes_sent for request in registry.journal) < 40 << 20


@pytest.mark.parametrize("size", [len(MANIFEST), None])
async def test_c7_an_endless_manifest_is_cut_off(size: int | None) -> None:
    async with serve(faults=[faults.endless(times=None)]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST)
        async with opened(registry.name("app")) as repository:
            with pytest.raises((ProtocolViolation, SizeMismatch)):
                await fetched(repository, described(MANIFEST, OCI_MANIFEST, size=size))
        assert sum(request.bytes_sent for request in registry.journal) < 40 << 20


async def test_c7_a_manifest_that_claims_to_be_huge_is_not_asked_for() -> None:
    async with serve() as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(ProtocolViolation, match="too large"):
                await fetched(repository, described(MANIFEST, OCI_MANIFEST, size=2**62))
        assert len(registry.journal) == 0


async def test_c7_an_endless_error_body_is_not_read_to_its_end() -> None:
    both = [faults.endless(times=None), faults.status(403, times=None, body=json.dumps({"errors": []}).encode())]
    async with serve(faults=both) as registry, opened(registry.name("app")) as repository:
        with pytest.raises(Unauthorized):
            await fetched(repository, described(BLOB))


async def test_c7_manifests_up_to_the_limit_are_fine() -> None:
    raw = MANIFEST[:-1] + b" " * ((4 << 20) - len(MANIFEST)) + b"}"
    async with serve() as registry:
        registry.add_manifest("app", raw, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            descriptor = await repository.resolve(reference(registry, "app:1"))
            assert await fetched(repository, descriptor) == raw
            registry.add_manifest("app", raw + b" ", OCI_MANIFEST, "2")
            with pytest.raises(ProtocolViolation, match="too large"):
                await fetched(repository, await repository.resolve(reference(registry, "app:2")))


async def test_the_origin_of_a_body_is_told() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app")) as repository:
            _, origin = await fetched_from(repository, described(BLOB))
        assert (origin.host, origin.redirect, origin.attempts, origin.resumed_at) == (registry.host, None, 1, ())
