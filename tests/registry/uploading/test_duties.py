"""What distribution-spec 1.1 asks of a client that pushes, beside what `test_upload` shows."""

import pytest

from puller.errors import DigestMismatch
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from testregistry import Manner, faults, images, serve
from testregistry.images import Format
from tests.registry.bringing import bring, held, target
from tests.registry.scene import LARGE, SMALL, described, opened


@pytest.mark.parametrize("raw", [SMALL, LARGE], ids=["small", "large"])
async def test_an_upload_is_begun_by_a_post_that_says_it_has_no_body(raw: bytes) -> None:
    async with serve() as registry, target(registry) as repository:
        await bring(repository, raw)
        (began,) = registry.journal.find(method="POST")
    assert began.headers["Content-Length"] == "0"


@pytest.mark.parametrize("raw", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("least", [1, 10_000_000])
async def test_a_registry_that_wants_long_chunks_gets_one_that_is_the_last(raw: bytes, least: int) -> None:
    async with serve(manner=Manner(chunk_min=least)) as registry, target(registry) as repository:
        await bring(repository, raw)
        assert held(registry, raw)


async def test_what_is_gone_on_with_is_named_by_both_ends_and_follows_on() -> None:
    cut = faults.cut_upload(method="PATCH", after=2_000_000)
    async with serve(faults=[cut]) as registry, target(registry) as repository:
        await bring(repository, LARGE)
        assert held(registry, LARGE)
        first, second = registry.journal.find(method="PATCH")
        (status,) = [request for request in registry.journal.find(method="GET") if request.kind == "upload"]
    assert "Content-Range" not in first.headers
    start, _, end = second.headers["Content-Range"].partition("-")
    assert (int(start), int(end)) == (2_000_000, len(LARGE) - 1)
    assert int(second.headers["Content-Length"]) == len(LARGE) - 2_000_000
    assert status.status == 204


async def test_every_request_goes_to_the_location_that_the_one_before_told() -> None:
    moved = faults.headers(
        add=[("Location", "/v2/app/blobs/uploads/elsewhere?x=1")], remove=["Location"], method="PATCH", kind="upload"
    )
    lost = faults.status(201, kind="upload", method="PUT", path="elsewhere")
    async with serve(faults=[moved, lost]) as registry, target(registry) as repository:
        await bring(repository, LARGE)
        (put,) = registry.journal.find(method="PUT")
    assert put.path == "/v2/app/blobs/uploads/elsewhere"
    assert put.query == f"x=1&digest={Digest.of(LARGE).algorithm}%3A{Digest.of(LARGE).hex}"


async def test_n22_a_mount_of_other_content_than_was_asked_for_is_refused() -> None:
    other = f"sha256:{'0' * 64}"
    lie = faults.headers(
        add=[("Docker-Content-Digest", other)], remove=["Docker-Content-Digest"], method="POST", kind="upload"
    )
    async with serve(faults=[lie]) as registry:
        registry.add_blob("base", LARGE)
        async with opened(registry.name("app"), mount_from="base") as repository:
            with pytest.raises(DigestMismatch, match="other content"):
                await bring(repository, LARGE)


@pytest.mark.parametrize("format_", ["oci", "docker"])
async def test_a_manifest_is_sent_under_its_own_media_type_without_parameters(format_: Format) -> None:
    image = images.image(images.layer({"a": b"b"}), format=format_)
    async with serve() as registry, target(registry) as repository:
        registry.add("app", image)
        descriptor = Descriptor(image.media_type, Digest.parse(image.digest), len(image.raw))
        await repository.put_manifest(image.raw, descriptor, "2")
        (put,) = registry.journal.find(method="PUT")
    assert put.headers.getall("Content-Type") == [image.media_type]


@pytest.mark.parametrize("name", ["no-post-digest", "no-mount"])
async def test_a_registry_that_does_less_is_pushed_to_all_the_same(name: str) -> None:
    manner = Manner(single_post=name != "no-post-digest", mounts=name != "no-mount", deletes=frozenset())
    async with serve(manner=manner) as registry:
        registry.add_blob("base", LARGE)
        async with opened(registry.name("app"), mount_from="base") as repository:
            await bring(repository, LARGE)
        assert held(registry, LARGE)


async def test_without_the_digest_header_and_with_other_error_codes_nothing_changes() -> None:
    """Docker's own headers and codes are optional: nothing leans on them."""
    bare = faults.headers(
        remove=["Docker-Content-Digest", "Docker-Upload-UUID", "Docker-Distribution-API-Version"], times=None
    )
    strange = faults.status(404, body=b'{"errors":[{"code":"TAG_INVALID"}]}', method="HEAD", kind="blob")
    async with serve(faults=[bare, strange]) as registry, target(registry) as repository:
        await bring(repository, SMALL)
        assert held(registry, SMALL)
        assert await repository.exists(described(SMALL))
