import pytest

from puller.errors import (
    DigestMismatch,
    InvalidReference,
    NotFound,
)
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from testregistry import serve
from tests.registry.scene import MANIFEST, MANIFEST_DESCRIPTOR, content, described, fetched, opened, reference

BLOB = content(100_000)


async def test_a_tag_becomes_a_descriptor_by_one_head() -> None:
    async with serve() as registry:
        digest = registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            descriptor = await repository.resolve(reference(registry, "app:1"))
        assert descriptor == Descriptor(OCI_MANIFEST, Digest.parse(digest), len(MANIFEST))
        assert [(r.method, r.status) for r in registry.journal] == [("HEAD", 200)]


async def test_a_name_without_tag_means_latest() -> None:
    async with serve() as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "latest")
        async with opened(registry.name("app")) as repository:
            assert (await repository.resolve(reference(registry, "app"))).digest == MANIFEST_DESCRIPTOR.digest


async def test_all_kinds_of_today_are_asked_for_and_schema_1_is_not() -> None:
    async with serve() as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            await repository.resolve(reference(registry, "app:1"))
        accepted = registry.journal.requests[0].headers["Accept"]
        assert all(kind in accepted for kind in (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))
        assert "v1+" not in accepted.replace("image.manifest.v1+json", "").replace("image.index.v1+json", "").replace(
            "artifact.manifest.v1+json", ""
        )


async def test_a_digest_is_read_at_once_and_not_fetched_again() -> None:
    async with serve() as registry:
        digest = registry.add_manifest("app", MANIFEST, OCI_MANIFEST)
        async with opened(registry.name("app")) as repository:
            descriptor = await repository.resolve(reference(registry, f"app@{digest}"))
            assert await fetched(repository, descriptor) == MANIFEST
        assert [(r.method, r.status) for r in registry.journal] == [("GET", 200)]


async def test_a_kept_manifest_is_given_once_and_from_any_offset() -> None:
    async with serve() as registry:
        digest = registry.add_manifest("app", MANIFEST, OCI_MANIFEST)
        async with opened(registry.name("app")) as repository:
            descriptor = await repository.resolve(reference(registry, f"app@{digest}"))
            assert await fetched(repository, descriptor, 10) == MANIFEST[10:]
            assert await fetched(repository, descriptor) == MANIFEST
        assert registry.journal.gets(digest) == 2


async def test_sha512_digests_are_resolved_and_checked() -> None:
    async with serve() as registry:
        digest = str(Digest.of(MANIFEST, "sha512"))
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, digest=digest)
        async with opened(registry.name("app")) as repository:
            assert str((await repository.resolve(reference(registry, f"app@{digest}"))).digest) == digest
            registry.corrupt("app", digest, MANIFEST + b" ")
            with pytest.raises(DigestMismatch):
                await repository.resolve(reference(registry, f"app@{digest}"))


async def test_blobs_and_manifests_come_from_their_own_endpoints() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST)
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(BLOB)) == BLOB
            assert await fetched(repository, MANIFEST_DESCRIPTOR) == MANIFEST
        assert [r.kind for r in registry.journal] == ["blob", "manifest"]


@pytest.mark.parametrize("offset", [0, 1, 50_000, 99_999, 100_000])
async def test_a_fetch_gives_the_bytes_from_its_offset_to_the_end(offset: int) -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(BLOB), offset) == BLOB[offset:]


async def test_n17_what_is_here_in_full_is_not_asked_for() -> None:
    async with serve() as registry, opened(registry.name("app")) as repository:
        assert await fetched(repository, described(BLOB), len(BLOB)) == b""
        assert len(registry.journal) == 0


async def test_an_empty_blob_is_fetched() -> None:
    async with serve() as registry:
        registry.add_blob("app", b"")
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(b"")) == b""
        assert len(registry.journal) == 1


async def test_a_blob_of_unknown_size_is_fetched_to_its_end() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, described(BLOB, size=None)) == BLOB


async def test_chunks_are_about_a_mebibyte() -> None:
    blob = content(10_000_000)
    sizes = []
    async with serve() as registry:
        registry.add_blob("app", blob)
        async with opened(registry.name("app")) as repository:
            async with repository.fetch(described(blob)) as body:
                async for chunk in body:
                    sizes.append(len(chunk))
    assert max(sizes) <= 2 << 20
    assert len(sizes) <= 12


async def test_errors_name_what_where_and_how_often() -> None:
    async with serve() as registry, opened(registry.name("app")) as repository:
        with pytest.raises(NotFound) as caught:
            await fetched(repository, described(BLOB))
        assert caught.value.reference == registry.name("app")
        assert caught.value.digest == str(Digest.of(BLOB))
        assert (caught.value.phase, caught.value.host, caught.value.attempts) == ("fetch", registry.host, 1)


async def test_an_unknown_tag_is_not_found_and_named() -> None:
    async with serve() as registry, opened(registry.name("app")) as repository:
        with pytest.raises(NotFound, match="app:none") as caught:
            await repository.resolve(reference(registry, "app:none"))
        assert (caught.value.phase, caught.value.attempts) == ("resolve", 1)


async def test_a_reference_of_another_repository_is_refused() -> None:
    async with serve() as registry, opened(registry.name("app")) as repository:
        with pytest.raises(InvalidReference, match="another repository"):
            await repository.resolve(reference(registry, "other:1"))
        assert len(registry.journal) == 0
