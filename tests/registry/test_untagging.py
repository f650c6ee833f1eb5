"""A tag that goes, and nothing else with it, whatever the registry can delete (DEMANDS C21)."""

from collections.abc import Sequence

import anyio
import pytest

from puller.errors import DigestMismatch, InvalidReference, Unauthorized, Unavailable, Unsupported
from puller.model.digest import Digest
from puller.model.mediatype import OCI_MANIFEST
from puller.registry.retry import RetryPolicy
from puller.registry.untagging import MARK, marker
from testregistry import Basic, Bearer, Manner, Request, TestRegistry, faults, images, serve
from testregistry.raw import answer, serve_script
from tests.registry.elsewhere import LOGIN
from tests.registry.scene import opened

IMAGE = images.image(images.layer({"a": b"b"}))
OTHER = images.image(images.layer({"c": b"d"}))
DIGEST = Digest.parse(IMAGE.digest)
DOCKER_REGISTRY = Manner(digests_only=True, referrers=False)
NO_TAGS = Manner(deletes=frozenset({"manifests", "blobs"}))


def stocked(registry: TestRegistry, tags: Sequence[str] = ("old", "shared")) -> None:
    for tag in tags:
        registry.add(f"app:{tag}", IMAGE)
    registry.add("app:other", OTHER)


def tags(registry: TestRegistry) -> dict[str, str]:
    repository = registry.storage.find("app")
    assert repository is not None
    return repository.tags


def deleted(registry: TestRegistry) -> list[str]:
    return [request.path.rpartition("/")[2] for request in registry.journal.find("DELETE")]


def there(registry: TestRegistry) -> set[str]:
    repository = registry.storage.find("app")
    assert repository is not None
    return set(repository.manifests)


async def test_a_registry_of_the_specification_is_told_to_and_costs_two_requests() -> None:
    async with serve() as registry:
        stocked(registry)
        async with opened(registry.name("app")) as repository:
            await repository.untag("old", DIGEST)
        assert [request.method for request in registry.journal] == ["HEAD", "DELETE"]
        assert deleted(registry) == ["old"]
        assert tags(registry) == {"shared": IMAGE.digest, "other": OTHER.digest}
        assert there(registry) == {IMAGE.digest, OTHER.digest}


@pytest.mark.parametrize("manner", [DOCKER_REGISTRY, NO_TAGS])
async def test_where_only_digests_go_the_tag_is_moved_away_first_and_its_digest_stays(manner: Manner) -> None:
    async with serve(manner=manner) as registry:
        stocked(registry)
        async with opened(registry.name("app")) as repository:
            await repository.untag("old", DIGEST)
            assert await repository.named("old") is None
            assert await repository.named("shared") == DIGEST
        assert tags(registry) == {"shared": IMAGE.digest, "other": OTHER.digest}
        assert there(registry) == {IMAGE.digest, OTHER.digest}, "nothing of our own is left"
        assert IMAGE.digest not in deleted(registry)


async def test_what_the_registry_can_do_is_found_out_once() -> None:
    async with serve(manner=DOCKER_REGISTRY) as registry:
        stocked(registry, ["a", "b", "c"])
        async with opened(registry.name("app")) as repository:
            await repository.untag("a", DIGEST)
            registry.journal.clear()
            await repository.untag("b", DIGEST)
        assert [request.method for request in registry.journal] == ["HEAD", "HEAD", "PUT", "DELETE"]
        assert set(tags(registry)) == {"c", "other"}


async def test_where_nothing_is_deleted_that_is_found_out_before_the_tag_is_touched() -> None:
    async with serve(manner=Manner(deletes=frozenset())) as registry:
        stocked(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(Unsupported, match="deletes no tags") as caught:
                await repository.untag("old", DIGEST)
        assert tags(registry)["old"] == IMAGE.digest
        assert "storage.delete.enabled" in caught.value.hint
        assert (caught.value.reference, caught.value.phase) == (registry.name("app:old"), "untag")


@pytest.mark.parametrize("status", [400, 404, 415, 501])
async def test_where_the_tag_cannot_be_moved_either_it_stays(status: int) -> None:
    put = faults.status(status, method="PUT", kind="manifest", path="/manifests/old", times=None)
    async with serve(manner=DOCKER_REGISTRY, faults=[put]) as registry:
        stocked(registry)
        async with opened(registry.name("app"), retries=RetryPolicy(attempts=1)) as repository:
            with pytest.raises((Unsupported, Unavailable)):
                await repository.untag("old", DIGEST)
        assert tags(registry) == {"old": IMAGE.digest, "shared": IMAGE.digest, "other": OTHER.digest}


async def test_what_was_interrupted_in_the_middle_is_finished_the_next_time() -> None:
    mark, _ = marker("old")
    # The first delete of the mark finds out whether that goes at all, the second one is the one that counts.
    cut = faults.status(503, method="DELETE", path=f"/manifests/{mark.digest}", skip=1, times=1)
    async with serve(manner=DOCKER_REGISTRY, faults=[cut]) as registry:
        stocked(registry)
        async with opened(registry.name("app"), retries=RetryPolicy(attempts=1)) as repository:
            with pytest.raises(Unavailable):
                await repository.untag("old", DIGEST)
        assert tags(registry)["old"] == str(mark.digest)
        async with opened(registry.name("app")) as repository:
            await repository.untag("old", DIGEST)
        assert tags(registry) == {"shared": IMAGE.digest, "other": OTHER.digest}
        assert there(registry) == {IMAGE.digest, OTHER.digest}


async def test_a_tag_that_names_something_else_by_now_stays() -> None:
    async with serve() as registry:
        stocked(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(DigestMismatch, match="something else by now"):
                await repository.untag("other", DIGEST)
        assert deleted(registry) == []


async def test_a_tag_that_is_moved_while_others_go_stays() -> None:
    async with serve(manner=DOCKER_REGISTRY) as registry:
        stocked(registry)
        refused: list[Digest] = []

        def moving(request: Request) -> None:
            if request.method == "PUT" and request.path.endswith("/manifests/old"):
                registry.add("app:shared", OTHER)

        async def untag(name: str) -> None:
            try:
                await repository.untag(name, DIGEST)
            except DigestMismatch as error:
                refused.append(Digest.parse(str(error.got)))

        registry.on_request.append(moving)
        async with opened(registry.name("app")) as repository, anyio.create_task_group() as group:
            for name in ("old", "shared"):
                group.start_soon(untag, name)
        assert tags(registry) == {"shared": OTHER.digest, "other": OTHER.digest}
        assert refused == [Digest.parse(OTHER.digest)]


async def test_a_tag_that_is_gone_already_is_no_error() -> None:
    async with serve() as registry:
        stocked(registry)
        async with opened(registry.name("app")) as repository:
            await repository.untag("none", DIGEST)
        assert deleted(registry) == []


async def test_a_tag_that_goes_at_the_same_time_is_no_error() -> None:
    async with serve() as registry:
        stocked(registry)

        def quicker(request: Request) -> None:
            if request.method == "DELETE":
                registry.storage.untag("app", "old")

        registry.on_request.append(quicker)
        async with opened(registry.name("app")) as repository:
            await repository.untag("old", DIGEST)
            registry.on_request.clear()
            await repository.untag("shared", DIGEST)
        assert deleted(registry) == ["old", "shared"], "the registry is not taken for one that deletes no tags"


async def test_a_failing_registry_is_asked_again() -> None:
    async with serve(faults=[faults.status(503, method="DELETE", times=2)]) as registry:
        stocked(registry)
        async with opened(registry.name("app")) as repository:
            await repository.untag("old", DIGEST)
        assert "old" not in tags(registry)


async def test_to_delete_a_token_for_that_is_asked_for() -> None:
    async with serve(auth=Bearer({"alice": "marker-password"}), manner=DOCKER_REGISTRY) as registry:
        stocked(registry)
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            await repository.untag("old", DIGEST)
        assert set(tags(registry)) == {"shared", "other"}


async def test_a_refusal_of_the_account_is_told_as_one() -> None:
    async with serve(auth=Basic({"alice": "other-password"})) as registry:
        stocked(registry)
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            with pytest.raises(Unauthorized):
                await repository.untag("old", DIGEST)
    async with serve(faults=[faults.status(403, method="DELETE", times=None)]) as registry:
        stocked(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(Unauthorized):
                await repository.untag("old", DIGEST)
        assert tags(registry)["old"] == IMAGE.digest


async def test_a_registry_that_tells_no_digest_by_head_is_asked_for_the_manifest() -> None:
    quiet = faults.headers(remove=["Docker-Content-Digest"], kind="manifest", times=None)
    async with serve(faults=[quiet]) as registry:
        stocked(registry)
        async with opened(registry.name("app")) as repository:
            assert await repository.named("old") == DIGEST
            with pytest.raises(DigestMismatch):
                await repository.untag("other", DIGEST)
            await repository.untag("old", DIGEST)
        assert set(tags(registry)) == {"shared", "other"}


async def test_what_a_tag_names_costs_one_head() -> None:
    async with serve() as registry:
        stocked(registry)
        async with opened(registry.name("app")) as repository:
            assert await repository.named("old") == DIGEST
            assert await repository.named("none") is None
        assert [request.method for request in registry.journal] == ["HEAD", "HEAD"]


@pytest.mark.parametrize(
    "tag", ["..", ".", "a/b", "../../app/manifests/x", "a" * 129, "a\0", "a\n", "", "-a", "a?b", IMAGE.digest]
)
async def test_a5_what_is_no_tag_never_becomes_part_of_a_path(tag: str) -> None:
    async with serve() as registry:
        stocked(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(InvalidReference):
                await repository.named(tag)
            with pytest.raises(InvalidReference):
                await repository.untag(tag, DIGEST)
            if tag != IMAGE.digest:
                with pytest.raises(InvalidReference):
                    await repository.put_manifest(b"{}", marker("old")[0], tag)
        assert registry.journal.requests == []


def test_the_mark_is_the_same_in_all_versions_so_that_each_finishes_what_another_began() -> None:
    mark, raw = marker("old")
    assert str(mark.digest) == "sha256:a2894d584f65baa8b36a5859fb1e3b62bf857b2572cc96744930e7a89e40db39"
    assert mark.media_type == OCI_MANIFEST
    assert MARK.encode() in raw


async def test_two_tags_have_marks_of_their_own() -> None:
    assert marker("a")[0].digest != marker("b")[0].digest


async def test_a_registry_that_answers_nonsense_to_a_delete_is_not_believed() -> None:
    head = answer(headers=[("Docker-Content-Digest", IMAGE.digest), ("Content-Type", OCI_MANIFEST)])
    async with serve_script([head, answer("302 Found", headers=[("Location", "/elsewhere")])]) as raw:
        async with opened(f"{raw.host}/app") as repository:
            with pytest.raises(Exception, match="elsewhere"):
                await repository.untag("old", DIGEST)


async def test_r5_two_who_take_the_same_tags_away_at_docker_registrys_do_not_hinder_each_other() -> None:
    async with serve(manner=DOCKER_REGISTRY) as registry:
        stocked(registry, ("old", "shared", *map(str, range(20))))

        async def clear(client: int) -> None:
            async with opened(registry.name("app")) as repository:
                for number in range(20):
                    await repository.untag(str(number), DIGEST)

        async with anyio.create_task_group() as group:
            for client in range(4):
                group.start_soon(clear, client)
        assert tags(registry) == {"old": IMAGE.digest, "shared": IMAGE.digest, "other": OTHER.digest}
        assert there(registry) == {IMAGE.digest, OTHER.digest}


@pytest.mark.parametrize("code", [400, 404])
@pytest.mark.parametrize("number", [2, 3])
async def test_r5_a_refusal_to_delete_what_somebody_else_has_just_deleted_is_no_error(code: int, number: int) -> None:
    """The first DELETE is of the tag, the second finds out about digests, the third ends it."""
    async with serve(manner=DOCKER_REGISTRY) as registry:
        stocked(registry)

        def quicker(request: Request) -> None:
            if request.method == "DELETE" and len(deleted(registry)) == number:
                registry.storage.drop_manifest("app", str(marker("old")[0].digest))

        registry.on_request.append(quicker)
        registry.faults.append(faults.status(code, method="DELETE", skip=number - 1))
        async with opened(registry.name("app")) as repository:
            await repository.untag("old", DIGEST)
        assert tags(registry) == {"shared": IMAGE.digest, "other": OTHER.digest}
        assert there(registry) == {IMAGE.digest, OTHER.digest}
