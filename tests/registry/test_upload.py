"""Uploads: blobs and manifests brought to a registry, whole or not at all, whatever the line does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from puller.errors import (
    ConnectionLost,
    DigestMismatch,
    LimitExceeded,
    NotFound,
    PullerError,
    RegistryError,
    SizeMismatch,
    Unauthorized,
    Unavailable,
    UnsafeRedirect,
)
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import unheard
from puller.model.mediatype import OCI_MANIFEST
from puller.model.reference import Reference
from puller.ops.transfer import Transferred, copy_blob
from puller.registry.patience import Patience
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from puller.store.memory import MemoryStore
from puller.stream.sink import Chunk
from testregistry import Answer, Basic, Bearer, TestRegistry, faults, serve
from testregistry.answer import Delivery, Silence
from testregistry.call import Call, Handler
from testregistry.canary import serve_canary
from testregistry.fault import Powers
from tests.registry.scene import MANIFEST, MANIFEST_DESCRIPTOR, OneLogin, Time, content, described, opened

SMALL = content(50_000)
LARGE = content(5_000_000)


async def shelved(raw: bytes) -> MemoryStore:
    """A store that holds `raw`."""
    store = MemoryStore()
    async with store.ingest(described(raw)) as ingest:
        assert ingest is not None
        await ingest.write(raw)
        await ingest.commit()
    return store


async def bring(repository: Repository, raw: bytes, *, promised: Descriptor | None = None) -> Transferred | None:
    """One blob, gone on with as long as that may help."""
    store, wanted = await shelved(raw), promised or described(raw)
    while True:
        try:
            return await copy_blob(store, repository, wanted, report=unheard)
        except RegistryError:
            if not repository.may_go_on(wanted.digest):
                raise


async def write(repository: Repository, wanted: Descriptor, raw: bytes) -> None:
    """Bring other bytes than were promised, or the right ones by hand."""
    async with repository.ingest(wanted) as ingest:
        assert ingest is not None
        for start in range(0, len(raw), 1 << 20):
            await ingest.write(raw[start : start + (1 << 20)])
        await ingest.commit()


@asynccontextmanager
async def target(registry: TestRegistry, **more: object) -> AsyncIterator[Repository]:
    async with opened(registry.name("app"), **more) as repository:  # type: ignore[arg-type]
        yield repository


def held(registry: TestRegistry, raw: bytes) -> bool:
    body = registry.storage.blob("app", str(Digest.of(raw)))
    return body is not None and b"".join(body.chunks()) == raw


def talk(registry: TestRegistry) -> list[tuple[str, int | None]]:
    return [(request.method, request.status) for request in registry.journal]


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


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "lost"])
@pytest.mark.parametrize("after", [0, 1, 65_536, 3_000_000])
async def test_a_broken_stream_goes_on_where_the_registry_says(after: int, keep: bool) -> None:
    now = Time()
    async with serve(faults=[faults.cut_upload(after=after, keep=keep)]) as registry:
        async with target(registry, now=now) as repository:
            await bring(repository, LARGE)
        assert held(registry, LARGE)
        (second,) = registry.journal.find("PATCH", status=202)
        start = after if keep and after > 1 else 0
        assert second.headers.get("Content-Range") == (f"{start}-{len(LARGE) - 1}" if start else None)
        assert registry.journal.count("POST") == (1 if start else 2)
    assert len(now.slept) >= 1


async def test_a_stream_that_breaks_for_ever_is_given_up_after_some_tries() -> None:
    async with serve(faults=[faults.cut_upload(after=100, keep=False, times=None)]) as registry:
        async with target(registry, retries=RetryPolicy(attempts=3)) as repository:
            with pytest.raises(ConnectionLost) as caught:
                await bring(repository, LARGE)
        assert registry.journal.count("PATCH") == 3
    assert caught.value.attempts == 3


async def test_a_stream_that_breaks_after_progress_each_time_is_not_given_up() -> None:
    cuts = [faults.cut_upload(after=1_200_000, times=3)]
    async with serve(faults=cuts) as registry, target(registry, retries=RetryPolicy(attempts=2)) as repository:
        await bring(repository, LARGE)
        assert held(registry, LARGE)
        assert registry.journal.count("PATCH") == 4


async def test_a_watcher_sees_every_byte_once_for_each_try() -> None:
    class Seen:
        def __init__(self) -> None:
            self.raw = bytearray()

        def write(self, chunk: Chunk, /) -> None:
            self.raw += chunk

        def finish(self) -> None:
            pass

    seen = [Seen(), Seen()]
    async with serve(faults=[faults.cut_upload(after=2_000_000)]) as registry, target(registry) as repository:
        store = await shelved(LARGE)
        with pytest.raises(ConnectionLost):
            await copy_blob(store, repository, described(LARGE), lambda: [seen[0]], report=unheard)
        await copy_blob(store, repository, described(LARGE), lambda: [seen[1]], report=unheard)
        assert held(registry, LARGE)
    assert bytes(seen[1].raw) == LARGE


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "HEAD"])
@pytest.mark.parametrize("code", [500, 503, 429])
async def test_n7_a_server_that_fails_once_is_asked_again(method: str, code: int) -> None:
    where = {"method": method, "kind": "blob" if method == "HEAD" else "upload"}
    async with serve(faults=[faults.status(code, **where)]) as registry, target(registry) as repository:  # type: ignore[arg-type]
        await bring(repository, LARGE)
        assert held(registry, LARGE)


def lose_answer() -> faults.Fault:
    """Complete the upload, and close the connection instead of saying so."""

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        return replace(await handler(call), delivery=Delivery(silence=Silence.DROP))

    return faults.Fault("lose_answer", faults.Match(method="PUT", kind="upload"), act)


async def test_r8_an_answer_to_the_last_put_that_was_lost_is_looked_for_and_nothing_sent_twice() -> None:
    async with serve() as registry, target(registry) as repository:
        registry.faults.append(lose_answer())
        await bring(repository, LARGE)
        assert held(registry, LARGE)
        assert registry.journal.count("PATCH") == 1


async def test_an_upload_that_the_registry_forgot_is_begun_again() -> None:
    async with serve(faults=[faults.status(404, method="PUT", kind="upload")]) as registry:
        async with target(registry) as repository:
            await bring(repository, LARGE)
        assert held(registry, LARGE)
        assert registry.journal.count("POST") == 2


async def test_an_upload_that_is_out_of_step_asks_where_it_is() -> None:
    async with serve(faults=[faults.status(416, method="PATCH", kind="upload")]) as registry:
        async with target(registry) as repository:
            await bring(repository, LARGE)
        assert held(registry, LARGE)


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
        with pytest.raises(NotFound, match="lacks blobs that the manifest names"):
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


def deaf(method: str) -> faults.Fault:
    """Neither read what is sent nor answer."""

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    return faults.Fault("deaf", faults.Match(method=method, kind="upload", times=None), act)


@pytest.mark.parametrize(("method", "raw"), [("PATCH", content(30_000_000)), ("POST", SMALL)], ids=["body", "head"])
async def test_n6_a_line_that_stalls_is_left(method: str, raw: bytes) -> None:
    patience = Patience(connect=2, first_byte=0.1, stall=0.1)
    async with serve(faults=[deaf(method)]) as registry:
        async with target(registry, patience=patience, retries=RetryPolicy(attempts=2)) as repository:
            with pytest.raises(ConnectionLost, match="no answer in time"):
                await bring(repository, raw)
        assert registry.journal.count(method) == 2


async def test_an_answer_that_was_never_given_is_looked_for() -> None:
    patience = Patience(connect=2, first_byte=0.1, stall=0.1)
    async with serve(faults=[faults.hang(method="PATCH", kind="upload")]) as registry:
        async with target(registry, patience=patience) as repository:
            await bring(repository, LARGE)
        assert held(registry, LARGE)
        assert registry.journal.count("PATCH") == 1


async def test_unavailable_stays_unavailable_when_tries_run_out() -> None:
    fault = faults.status(503, method="POST", kind="upload", times=None)
    async with serve(faults=[fault]) as registry:
        async with target(registry, retries=RetryPolicy(attempts=2)) as repository:
            with pytest.raises(Unavailable) as caught:
                await bring(repository, SMALL)
    assert (caught.value.attempts, caught.value.phase) == (2, "upload")
    assert caught.value.digest == str(Digest.of(SMALL))
