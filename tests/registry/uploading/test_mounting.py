"""Blobs that another repository of the registry is known to have: lent, at the cost of one request."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from puller.contracts.access import Credential, KnownIdentity
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.repository import Repository
from testregistry import Bearer, Manner, TestRegistry, faults, serve
from tests.registry.bringing import bring, held, talk
from tests.registry.elsewhere import LOGIN
from tests.registry.scene import LARGE, MANIFEST, MANIFEST_DESCRIPTOR, SMALL, Time

DIGEST = Digest.of(SMALL)


def base(digest: Digest) -> str | None:
    return "base" if digest == DIGEST else None


@asynccontextmanager
async def target(
    registry: TestRegistry, lenders: Callable[[Digest], str | None] = base, **more: Any
) -> AsyncIterator[Repository]:
    async with RegistryClient(world=Time().world(), **more) as client:
        yield client.repository(Reference.parse(registry.name("app")), lenders=lenders)


async def test_what_is_known_to_be_lent_costs_one_request() -> None:
    async with serve() as registry, target(registry) as repository:
        registry.add_blob("base", SMALL)
        assert await bring(repository, SMALL) is None
        assert talk(registry) == [("POST", 201)]
        assert repository.was_mounted(DIGEST)
        assert held(registry, SMALL)


async def test_what_nobody_lends_is_looked_for_and_brought_as_ever() -> None:
    async with serve() as registry, target(registry) as repository:
        await bring(repository, LARGE)
        assert talk(registry)[:2] == [("HEAD", 404), ("POST", 202)]
        assert held(registry, LARGE)


async def test_the_lenders_are_asked_when_the_blob_is_about_to_be_brought() -> None:
    known: dict[Digest, str] = {}
    async with serve() as registry, target(registry, known.get) as repository:
        registry.add_blob("late", SMALL)
        known[DIGEST] = "late"
        await bring(repository, SMALL)
        assert talk(registry) == [("POST", 201)]


@pytest.mark.parametrize("manner", [Manner(), Manner(mounts=False)])
async def test_where_it_is_not_lent_after_all_it_is_brought_by_the_upload_that_was_begun(manner: Manner) -> None:
    async with serve(manner=manner) as registry, target(registry) as repository:
        registry.add_blob("other", SMALL)
        await bring(repository, SMALL)
        assert talk(registry) == [("POST", 202), ("HEAD", 404), ("PUT", 201)]
        assert not repository.was_mounted(DIGEST)
        assert held(registry, SMALL)


async def test_where_it_is_not_lent_yet_there_the_upload_that_was_begun_ends() -> None:
    async with serve(manner=Manner(mounts=False)) as registry, target(registry) as repository:
        registry.add_blob("app", SMALL)
        assert await bring(repository, SMALL) is None
        assert talk(registry) == [("POST", 202), ("HEAD", 200), ("DELETE", 204)]
        assert not repository.was_mounted(DIGEST)


async def test_a_mount_that_is_refused_is_no_end() -> None:
    refusal = faults.status(403, method="POST", path="mount=", times=None)
    async with serve(faults=[refusal]) as registry, target(registry) as repository:
        registry.add_blob("base", SMALL)
        await bring(repository, SMALL)
        assert held(registry, SMALL)


async def test_nothing_is_lent_to_oneself_and_no_manifest_is_mounted() -> None:
    async with serve() as registry, target(registry, lambda digest: "app") as repository:
        await bring(repository, SMALL)
        assert talk(registry)[0] == ("HEAD", 404)
    async with serve() as registry, target(registry, lambda digest: "base") as repository:
        registry.add_blob("app", b"{}")
        async with repository.ingest(MANIFEST_DESCRIPTOR) as ingest:
            assert ingest is not None
            await ingest.write(MANIFEST)
            await ingest.commit()
        assert [request.query for request in registry.journal if "mount" in request.query] == []


async def test_an_upload_that_was_cut_is_gone_on_with_and_not_begun_as_a_mount_again() -> None:
    cut = faults.cut_upload(after=1_000_000)
    digest = Digest.of(LARGE)
    async with serve(faults=[cut]) as registry, target(registry, {digest: "base"}.get) as repository:
        await bring(repository, LARGE)
        assert held(registry, LARGE)
        assert sum("mount" in request.query for request in registry.journal) == 1


async def test_the_token_for_a_mount_reads_there_and_writes_here() -> None:
    async with serve(auth=Bearer({"alice": "marker-password"}, anonymous=set())) as registry:
        registry.add_blob("base", SMALL)
        async with target(registry, keyring=LOGIN, plain_http=[registry.host]) as repository:
            assert await bring(repository, SMALL) is None
            assert repository.was_mounted(DIGEST)
        (token,) = registry.journal.find(kind="token")
        scopes = "scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%3Apull"
        assert token.query.endswith(scopes)


async def test_with_an_identity_token_both_scopes_are_asked_for_in_one_word() -> None:
    class Login:
        """Somebody with an identity token."""

        def identity(self, registry: str, repository: str) -> KnownIdentity:
            return KnownIdentity("the test's", Credential("", "", identity_token="marker-token"))

    auth = Bearer({"alice": "x"}, anonymous=set(), identity_tokens={"marker-token": "alice"})
    async with serve(auth=auth) as registry:
        registry.add_blob("base", SMALL)
        async with target(registry, keyring=Login(), plain_http=[registry.host]) as repository:
            await bring(repository, SMALL)
            assert repository.was_mounted(DIGEST)
        (token,) = registry.journal.find(kind="token")
        assert token.form["scope"] == "repository:app:pull,push repository:base:pull"
