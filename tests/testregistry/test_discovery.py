"""Distribution-spec 1.1, "Content Discovery": tags, catalog, referrers."""

from __future__ import annotations

import pytest

from testregistry import faults, images, serve
from testregistry.grammar import digest_of
from tests.testregistry.asking import OCI_INDEX, absolute, ask, get

IMAGE = images.image(images.layer({"a": b"b"}))
TAGS = ["a", "B", "b", "c1", "c10", "c2"]


async def test_tags_come_in_lexical_order_whatever_their_case() -> None:
    async with serve() as registry:
        for tag in reversed(TAGS):
            registry.add(f"app:{tag}", IMAGE)
        got = await get(f"{registry.url}/v2/app/tags/list")
    assert got.json() == {"name": "app", "tags": TAGS}
    assert "Link" not in got.headers


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7])
async def test_following_the_links_brings_every_tag_once(size: int) -> None:
    async with serve() as registry:
        for tag in TAGS:
            registry.add(f"app:{tag}", IMAGE)
        seen: list[str] = []
        url: str | None = f"{registry.url}/v2/app/tags/list?n={size}"
        while url is not None:
            got = await get(url)
            assert len(got.json()["tags"]) <= size
            seen += got.json()["tags"]
            link = got.headers.get("Link")
            if link is not None:
                assert link.endswith('>; rel="next"')
            url = absolute(registry.url, link[1 : link.index(">")]) if link else None
    assert seen == TAGS


async def test_n_zero_is_an_empty_list_without_a_link() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        got = await get(f"{registry.url}/v2/app/tags/list?n=0")
    assert got.json()["tags"] == []
    assert "Link" not in got.headers


@pytest.mark.parametrize("n", ["-1", "x", "1.5", "", "%C2%B2"])
async def test_an_n_that_is_no_number_is_refused(n: str) -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        assert (await get(f"{registry.url}/v2/app/tags/list?n={n}")).status == 400


@pytest.mark.parametrize(("last", "expected"), [("b", ["c1", "c10", "c2"]), ("bb", ["c1", "c10", "c2"]), ("zzz", [])])
async def test_last_leaves_out_itself_and_all_before(last: str, expected: list[str]) -> None:
    async with serve() as registry:
        for tag in TAGS:
            registry.add(f"app:{tag}", IMAGE)
        got = await get(f"{registry.url}/v2/app/tags/list?last={last}")
    assert got.json()["tags"] == expected


async def test_tags_of_an_unknown_repository_are_404() -> None:
    async with serve() as registry:
        got = await get(f"{registry.url}/v2/nobody/tags/list")
    assert (got.status, got.codes()) == (404, ["NAME_UNKNOWN"])


async def test_the_catalog_lists_repositories_in_pages() -> None:
    async with serve() as registry:
        for name in ("b", "a/x", "c"):
            registry.add(f"{name}:1", IMAGE)
        first = await get(f"{registry.url}/v2/_catalog?n=2")
        second = await get(f"{registry.url}/v2/_catalog?n=2&last=b")
    assert (first.json()["repositories"], second.json()["repositories"]) == (["a/x", "b"], ["c"])
    assert "Link" in first.headers
    assert "Link" not in second.headers


async def test_nothing_refers_is_an_empty_index_even_in_an_unknown_repository() -> None:
    async with serve() as registry:
        got = await get(f"{registry.url}/v2/nobody/referrers/{digest_of(b'x')}")
    assert (got.status, got.headers["Content-Type"]) == (200, OCI_INDEX)
    assert got.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


async def test_referrers_lists_what_names_the_subject_with_type_and_annotations() -> None:
    signature = images.artifact(
        images.blob(b"sig"), artifact_type="application/x-signature", subject=IMAGE, annotations={"k": "v"}
    )
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        registry.add("app", signature)
        registry.add("app", images.artifact(subject=images.image()))
        got = await get(f"{registry.url}/v2/app/referrers/{IMAGE.digest}")
    assert got.json()["manifests"] == [
        {
            "mediaType": signature.media_type,
            "digest": signature.digest,
            "size": len(signature.raw),
            "artifactType": "application/x-signature",
            "annotations": {"k": "v"},
        }
    ]


async def test_without_an_artifact_type_the_config_type_stands_in() -> None:
    child = images.image(subject=IMAGE)
    async with serve() as registry:
        registry.add("app", child)
        (found,) = (await get(f"{registry.url}/v2/app/referrers/{IMAGE.digest}")).json()["manifests"]
    assert found["artifactType"] == child.config.media_type


async def test_an_index_without_an_artifact_type_is_listed_without_one() -> None:
    child = images.index(IMAGE, subject=IMAGE)
    async with serve() as registry:
        registry.add("app", child)
        (found,) = (await get(f"{registry.url}/v2/app/referrers/{IMAGE.digest}")).json()["manifests"]
    assert "artifactType" not in found
    assert "annotations" not in found


async def test_the_artifact_type_filter_is_applied_and_said_to_be() -> None:
    one = images.artifact(artifact_type="a/one", subject=IMAGE)
    two = images.artifact(artifact_type="a/two", subject=IMAGE)
    async with serve() as registry:
        registry.add("app", one)
        registry.add("app", two)
        whole = await get(f"{registry.url}/v2/app/referrers/{IMAGE.digest}")
        some = await get(f"{registry.url}/v2/app/referrers/{IMAGE.digest}?artifactType=a/two")
    assert len(whole.json()["manifests"]) == 2
    assert "OCI-Filters-Applied" not in whole.headers
    assert [found["digest"] for found in some.json()["manifests"]] == [two.digest]
    assert some.headers["OCI-Filters-Applied"] == "artifactType"


async def test_a_deleted_referrer_is_no_longer_listed() -> None:
    signature = images.artifact(subject=IMAGE)
    async with serve() as registry:
        registry.add("app", signature)
        await ask("DELETE", f"{registry.url}/v2/app/manifests/{signature.digest}")
        got = await get(f"{registry.url}/v2/app/referrers/{IMAGE.digest}")
    assert got.json()["manifests"] == []


async def test_a_referrer_outlives_its_subject() -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        registry.add("app", images.artifact(subject=IMAGE))
        await ask("DELETE", f"{registry.url}/v2/app/manifests/{IMAGE.digest}")
        got = await get(f"{registry.url}/v2/app/referrers/{IMAGE.digest}")
    assert len(got.json()["manifests"]) == 1


async def test_a_hostile_manifest_added_unchecked_can_still_be_a_referrer() -> None:
    async with serve() as registry:
        digest = registry.add_manifest("app", b"not json", "text/plain", subject=IMAGE.digest)
        (found,) = (await get(f"{registry.url}/v2/app/referrers/{IMAGE.digest}")).json()["manifests"]
    assert found["digest"] == digest


@pytest.mark.parametrize(
    ("fault", "tags", "repositories"),
    [
        (faults.empty_list(kind="tags", times=None), [], ["app", "b", "c", "d"]),
        (faults.half_list(kind="tags", times=None), ["1"], ["app", "b", "c", "d"]),
        (faults.empty_list(kind="catalog", times=None), ["1", "2", "3"], []),
        (faults.half_list(kind="catalog", times=None), ["1", "2", "3"], ["app", "b"]),
    ],
)
async def test_h3_a_list_may_be_empty_or_half_without_a_word(
    fault: faults.Fault, tags: list[str], repositories: list[str]
) -> None:
    async with serve(faults=[fault]) as registry:
        for reference in ("app:1", "app:2", "app:3", "b:1", "c:1", "d:1"):
            registry.add(reference, images.image())
        got = await get(f"{registry.url}/v2/app/tags/list")
        assert (got.status, got.json()["tags"], "Link" in got.headers) == (200, tags, False)
        got = await get(f"{registry.url}/v2/_catalog?n=10")
        assert (got.status, got.json()["repositories"], "Link" in got.headers) == (200, repositories, False)


@pytest.mark.parametrize("code", [404, 500])
async def test_h3_a_list_may_be_refused(code: int) -> None:
    refusals = [faults.status(code, kind=kind, times=None) for kind in ("tags", "catalog")]
    async with serve(faults=refusals) as registry:
        registry.add("app:1", images.image())
        assert (await get(f"{registry.url}/v2/app/tags/list")).status == code
        assert (await get(f"{registry.url}/v2/_catalog")).status == code
