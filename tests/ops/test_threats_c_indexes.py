"""THREATS C10 and C11 against whole pulls: indexes without end, and platforms that are not what they say."""

from pathlib import Path

import pytest

from puller.errors import (
    InvalidManifest,
    Unsupported,
)
from testregistry import images
from testregistry.documents import OCI_INDEX, OCI_MANIFEST
from tests.ops.story import IMAGE, OTHER, TOP, document, story

pytestmark = pytest.mark.slow  # many small tests: for `make test`

LIE = "sha256:" + "0" * 64


# --- C10, C11: indexes ---------------------------------------------------------------------------------------------


async def test_c10_indexes_nested_a_hundred_deep_end_at_the_limit(tmp_path: Path) -> None:
    nested = images.index(IMAGE)
    for _ in range(100):
        nested = images.index(nested)
    async with story(tmp_path) as s:
        s.registry.add("app:1", nested)
        await s.refused(Unsupported, IMAGE.digest)
        assert s.registry.journal.count("GET", kind="manifest") < 10


async def test_c10_an_index_of_more_entries_than_any_image_has_is_refused(tmp_path: Path) -> None:
    entries = [{"mediaType": OCI_MANIFEST, "digest": f"sha256:{i:064x}", "size": 2} for i in range(10_001)]
    async with story(tmp_path) as s:
        digest = s.add_raw(document(images.index(IMAGE).raw, manifests=entries), OCI_INDEX)
        await s.refused(InvalidManifest, digest)
        assert s.registry.journal.count("GET") == 1


@pytest.mark.slow
async def test_c10_a_wide_index_ends_at_the_budget_of_documents(tmp_path: Path) -> None:
    parts = [images.artifact(artifact_type=f"text/x-{i}") for i in range(1_100)]
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.index(*parts))
        await s.refused(Unsupported, platforms=None)
        assert s.registry.journal.count("GET", kind="manifest") <= 1_000


async def test_c10_metadata_without_end_stops_at_the_budget_of_bytes(tmp_path: Path) -> None:
    parts = [images.artifact(artifact_type=f"text/x-{i}", annotations={"a": "b" * 3_900_000}) for i in range(10)]
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.index(*parts))
        error = await s.refused(Unsupported, platforms=None)
        assert "metadata" in error.what


async def test_c10_one_manifest_named_a_thousand_times_is_fetched_once(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.index(*[IMAGE] * 1_500))
        await s.pull(platforms=None)
        assert s.registry.journal.gets(IMAGE.digest) == 1


async def test_c10_a_subject_is_never_followed(tmp_path: Path) -> None:
    raw = document(IMAGE.raw, subject={"mediaType": OCI_MANIFEST, "digest": LIE, "size": 2})
    async with story(tmp_path) as s:
        s.add_raw(raw)
        await s.pull()
        assert s.registry.journal.gets(LIE) == 0


async def test_c11_of_two_entries_for_one_platform_the_first_is_taken(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.index(IMAGE, OTHER))
        await s.pull()
        assert IMAGE.digest in await s.blobs()
        assert OTHER.digest not in await s.blobs()


async def test_c11_an_entry_for_an_unknown_system_is_passed_over(tmp_path: Path) -> None:
    attestation = images.image(TOP, platform=("unknown", "unknown"))
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.index(attestation, IMAGE))
        await s.pull()
        assert IMAGE.digest in await s.blobs()
        assert attestation.digest not in await s.blobs()


async def test_c11_an_index_of_unknown_systems_only_names_none_to_choose_from(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.index(images.image(TOP, platform=("unknown", "unknown"))))
        error = await s.refused(Unsupported)
        assert error.got == "none"


async def test_c11_a_config_for_another_platform_than_its_index_promises_is_told(tmp_path: Path) -> None:
    entry = images.descriptor(IMAGE, platform={"os": "linux", "architecture": "arm64"})
    async with story(tmp_path) as s:
        s.add_raw(document(images.index(IMAGE).raw, manifests=[entry]), OCI_INDEX)
        report = await s.pull(platforms=["linux/arm64"])
        assert s.warnings() == ["the index promises linux/arm64, the image's config says linux/amd64"]
        assert report.platforms == ("linux/amd64",)


async def test_c10_what_two_indexes_within_one_share_is_brought_and_told_once(tmp_path: Path) -> None:
    inner = [images.index(IMAGE, images.image(TOP, platform=("linux", cpu))) for cpu in ("arm64", "s390x")]
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.index(*inner))
        report = await s.pull(platforms=None)
        told = [blob.digest for blob in report.blobs]
        assert told.count(IMAGE.digest) == 1
        assert len(told) == len(set(told))


async def test_c11_entries_of_unknown_kind_are_left_out_aloud(tmp_path: Path) -> None:
    unknown = {"mediaType": "application/vnd.example.thing+json", "digest": LIE, "size": 2}
    known = {"mediaType": OCI_MANIFEST, "digest": IMAGE.digest, "size": len(IMAGE.raw)}
    async with story(tmp_path) as s:
        digest = s.add_raw(document(images.index(IMAGE).raw, manifests=[unknown, known]), OCI_INDEX)
        report = await s.pull(platforms=None)
        assert report.digest == digest
        assert any("application/vnd.example.thing+json" in warning for warning in report.warnings)
        assert s.registry.journal.gets(LIE) == 0
