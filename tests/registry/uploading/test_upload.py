"""Uploads: blobs and manifests brought to a registry, verified before they are complete."""

import pytest

from puller.errors import (
    ContentUnknown,
    DigestMismatch,
    LimitExceeded,
    NotFound,
    PullerError,
    RegistryError,
    SizeMismatch,
    Unauthorized,
    UnsafeRedirect,
)
from puller.model.digest import Digest
from puller.model.mediatype import OCI_MANIFEST
from puller.model.reference import Reference
from testregistry import Basic, Bearer, faults, serve
from testregistry.canary import serve_canary
from tests.registry.bringing import bring, held, talk, target, write
from tests.registry.scene import LARGE, MANIFEST, MANIFEST_DESCRIPTOR, SMALL, OneLogin, described, opened


async def test_a_small_blob_goes_in_one_request() -> None:
    async with serve() as registry, target(registry) as repository:
        transferred = await bring(repository, SMALL)
        assert held(registry, SMALL)
        assert talk(registry) == [("HEAD", 404), ("POST", 202), ("PUT", 201)]
    assert transferred is not None
    assert transferred.fetched == len(SMALL)


async def test_a_large_blob_is_streamed_and_then_completed() -> None:
    async with serve() as registry, target(registry) as repository:
        await bring(repository, LARGE)
        assert held(registry, LARGE)
        assert talk(registry) == [("HEAD", 404), ("POST", 202), ("PATCH", 202), ("PUT", 201)]


@pytest.mark.parametrize("raw", [SMALL, LARGE, b""], ids=["small", "large", "empty"])
async def test_a_blob_of_unknown_size_is_brought_too(raw: bytes) -> None:
    async with serve() as registry, target(registry) as repository:
        await bring(repository, raw, promised=described(raw, size=None))
        assert held(registry, raw)


async def test_what_is_there_is_not_brought_again() -> None:
    async with serve() as registry, target(registry) as repository:
        registry.add_blob("app", SMALL)
        assert await bring(repository, SMALL) is None
        assert talk(registry) == [("HEAD", 200)]


async def test_what_is_there_under_another_size_is_refused() -> None:
    async with serve() as registry, target(registry) as repository:
        registry.add_blob("app", SMALL)
        registry.corrupt("app", str(Digest.of(SMALL)), SMALL[:-1])
        with pytest.raises(SizeMismatch, match="another size"):
            await bring(repository, SMALL)


async def test_wrong_bytes_are_never_completed_and_the_upload_is_cancelled() -> None:
    async with serve() as registry, target(registry) as repository:
        wanted = described(LARGE)
        with pytest.raises(DigestMismatch):
            await write(repository, wanted, LARGE[:-1] + b"x")
        assert registry.journal.count("PUT") == 0
        assert registry.journal.count("DELETE", status=204) == 1
        assert not repository.may_go_on(wanted.digest)
        assert not held(registry, LARGE)


async def test_too_many_bytes_are_refused_before_they_are_sent() -> None:
    async with serve() as registry, target(registry) as repository:
        with pytest.raises(SizeMismatch):
            await write(repository, described(SMALL), SMALL + b"x")
        assert registry.journal.count("PUT") == 0


async def test_n22_another_digest_in_the_answer_is_refused() -> None:
    other = str(Digest.of(b"other"))
    fault = faults.headers(
        add={"Docker-Content-Digest": other}, remove=["Docker-Content-Digest"], method="PUT", times=None
    )
    async with serve(faults=[fault]) as registry, target(registry) as repository:
        with pytest.raises(DigestMismatch, match="has kept other content"):
            await bring(repository, SMALL)
        with pytest.raises(DigestMismatch, match="has kept other content"):
            await bring(repository, LARGE)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("location", ["{canary}/v2/app/blobs/uploads/1", "//{host}/x", "ftp://{host}/x"])
async def test_b10_an_upload_is_never_sent_to_another_origin(method: str, location: str) -> None:
    async with serve_canary() as canary, serve(auth=Basic({"ann": "marker-password"})) as registry:
        where = location.format(canary=canary.url, host=canary.host)
        registry.faults.append(
            faults.headers(add={"Location": where}, remove=["Location"], method=method, kind="upload")
        )
        async with target(registry, login=OneLogin("ann", "marker-password"), plain_http=[registry.host]) as repository:
            with pytest.raises(UnsafeRedirect) as caught:
                await bring(repository, LARGE)
        assert canary.requests == []
        assert "marker-password" not in str(caught.value)


@pytest.mark.parametrize("location", ["http://user:pw@{host}/v2/app/blobs/uploads/1", "http://{host}:99999/", "a b"])
async def test_b10_a_location_that_is_no_plain_url_is_refused(location: str) -> None:
    async with serve() as registry, target(registry) as repository:
        where = location.format(host=registry.host)
        registry.faults.append(faults.headers(add={"Location": where}, remove=["Location"], method="POST"))
        with pytest.raises(UnsafeRedirect) as caught:
            await bring(repository, SMALL)
    assert "pw" not in str(caught.value)


async def test_b10_an_upload_that_is_redirected_is_refused() -> None:
    async with serve_canary() as canary, serve() as registry, target(registry) as repository:
        registry.faults.append(faults.redirect(None, f"{canary.url}/x", method="PATCH", kind="upload"))
        with pytest.raises(UnsafeRedirect, match="elsewhere"):
            await bring(repository, LARGE)
        assert canary.requests == []


async def test_b15_the_state_in_an_upload_url_stays_out_of_errors() -> None:
    fault = faults.status(400, method="PUT", kind="upload")
    async with serve(faults=[fault]) as registry, target(registry) as repository:
        with pytest.raises(RegistryError) as caught:
            await bring(repository, SMALL)
        state = registry.journal.find("PUT")[0].query
    assert "_state=" in state
    assert "_state" not in str(caught.value)


async def test_an_opaque_query_is_given_back_as_it_came() -> None:
    query = "_state=a%2Bb+c%3D%3d&x=%C3%A9"

    async with serve() as registry, target(registry) as repository:
        where = f"/v2/app/blobs/uploads/1?{query}"
        registry.faults.append(faults.headers(add={"Location": where}, remove=["Location"], method="POST"))
        with pytest.raises(NotFound):
            await write(repository, described(SMALL), SMALL)
        (put,) = registry.journal.find("PUT")
    assert put.query == f"{query}&digest=sha256%3A{Digest.of(SMALL).hex}"


async def test_tokens_are_asked_for_with_pull_and_push() -> None:
    auth = Bearer({"ann": "secret"})
    async with serve(auth=auth) as registry:
        async with target(registry, login=OneLogin("ann", "secret"), plain_http=[registry.host]) as repository:
            await bring(repository, SMALL)
        assert {str(scope) for token in auth.issued for scope in token.scopes} == {"repository:app:pull,push"}
        assert held(registry, SMALL)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("status", [401, 400])
async def test_a_token_that_expires_on_the_way_is_replaced_once(method: str, status: int) -> None:
    auth = Bearer({"ann": "secret"}, bad_token_status=status)
    fault = faults.expire_token(method=method, kind="upload")
    async with serve(auth=auth, faults=[fault]) as registry:
        async with target(registry, login=OneLogin("ann", "secret"), plain_http=[registry.host]) as repository:
            await bring(repository, LARGE)
        assert held(registry, LARGE)
        assert registry.journal.count("GET", kind="token") == 2


async def test_a_registry_that_refuses_every_token_is_asked_no_third_time() -> None:
    auth = Bearer({"ann": "secret"})
    fault = faults.expire_token(method="PATCH", kind="upload", times=None)
    async with serve(auth=auth, faults=[fault]) as registry:
        async with target(registry, login=OneLogin("ann", "secret"), plain_http=[registry.host]) as repository:
            with pytest.raises(Unauthorized):
                await bring(repository, LARGE)
        assert registry.journal.count("PATCH") == 2


async def test_who_may_only_read_is_told_so() -> None:
    async with serve(auth=Bearer({})) as registry, target(registry) as repository:
        with pytest.raises(Unauthorized):
            await bring(repository, SMALL)
        assert {request.method for request in registry.journal if request.kind == "upload"} == {"POST"}


@pytest.mark.parametrize(
    ("status", "code", "kind", "text"),
    [
        (403, "DENIED", Unauthorized, "may not push there"),
        (400, "DIGEST_INVALID", RegistryError, "another digest"),
        (400, "SIZE_INVALID", RegistryError, "finds the size wrong"),
        (413, "", RegistryError, "too large"),
        (405, "UNSUPPORTED", RegistryError, "does not take this"),
        (400, "NAME_INVALID", RegistryError, "no such name"),
    ],
)
async def test_a_refusal_is_told_in_clear_words(status: int, code: str, kind: type[PullerError], text: str) -> None:
    body = b'{"errors":[{"code":"%s","message":"told so"}]}' % code.encode() if code else b""
    fault = faults.status(status, body=body, method="PUT", kind="upload")
    async with serve(faults=[fault]) as registry, target(registry) as repository:
        with pytest.raises(kind, match=text):
            await bring(repository, SMALL)


async def test_a_manifest_goes_by_digest_and_is_named_afterwards() -> None:
    async with serve() as registry, target(registry) as repository:
        registry.add_blob("app", b"{}")
        await write(repository, MANIFEST_DESCRIPTOR, MANIFEST)
        await repository.tag(Reference.parse(registry.name("app:1")), MANIFEST_DESCRIPTOR)
        assert await repository.named("1") == MANIFEST_DESCRIPTOR.digest
        assert await repository.named("2") is None
        async with repository.ingest(MANIFEST_DESCRIPTOR) as again:
            assert again is None
        assert {put.headers["Content-Type"] for put in registry.journal.find("PUT")} == {OCI_MANIFEST}


async def test_a_manifest_whose_blobs_are_missing_is_refused_in_clear_words() -> None:
    async with serve() as registry, target(registry) as repository:
        with pytest.raises(ContentUnknown, match="lacks blobs that the manifest names"):
            await repository.put_manifest(MANIFEST, MANIFEST_DESCRIPTOR, "1")


@pytest.mark.parametrize("code", [500, 429])
async def test_a_manifest_is_put_again_when_the_server_fails(code: int) -> None:
    async with serve(faults=[faults.status(code, method="PUT", kind="manifest", times=2)]) as registry:
        registry.add_blob("app", b"{}")
        async with target(registry) as repository:
            await repository.put_manifest(MANIFEST, MANIFEST_DESCRIPTOR, "1")
        assert registry.journal.count("PUT", status=201) == 1


async def test_n22_a_manifest_that_was_kept_as_another_is_told() -> None:
    other = str(Digest.of(b"other"))
    fault = faults.headers(add={"Docker-Content-Digest": other}, remove=["Docker-Content-Digest"], method="PUT")
    async with serve(faults=[fault]) as registry, target(registry) as repository:
        registry.add_blob("app", b"{}")
        with pytest.raises(DigestMismatch, match="has kept other content"):
            await repository.put_manifest(MANIFEST, MANIFEST_DESCRIPTOR, "1")


async def test_a_manifest_over_4_mib_is_not_sent() -> None:
    raw = b" " * (4 * 1024 * 1024 + 1)
    async with serve() as registry, target(registry) as repository:
        with pytest.raises(LimitExceeded):
            await repository.put_manifest(raw, described(raw, OCI_MANIFEST), "1")
        assert len(registry.journal) == 0


async def test_a_blob_is_mounted_from_the_repository_that_has_it() -> None:
    async with serve() as registry:
        registry.add_blob("base", LARGE)
        async with opened(registry.name("app"), mount_from="base") as repository:
            assert await bring(repository, LARGE) is None
            assert repository.was_mounted(Digest.of(LARGE))
        assert held(registry, LARGE)
        assert talk(registry) == [("HEAD", 404), ("POST", 201)]


@pytest.mark.parametrize("refusal", [None, 401, 403, 404, 405])
async def test_a_blob_that_cannot_be_mounted_is_sent(refusal: int | None) -> None:
    mount = [] if refusal is None else [faults.status(refusal, method="POST", path="mount=")]
    async with serve(faults=mount) as registry:
        async with opened(registry.name("app"), mount_from="base") as repository:
            await bring(repository, LARGE)
            assert not repository.was_mounted(Digest.of(LARGE))
        assert held(registry, LARGE)
