"""Warnings of a registry: told once, and nothing else comes of them (distribution-spec 1.1, "Warnings")."""

import pytest

from puller.model.reference import Reference
from puller.registry.warned import MAX_BYTES, MAX_TOLD, Warnings, texts_of
from testregistry import Manner, serve
from tests.registry.asking import fill
from tests.registry.bringing import bring
from tests.registry.scene import MANIFEST_DESCRIPTOR, SMALL, described, fetched, opened


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "puller.registry.warned"]


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        (['299 - "old"'], ["old"]),
        (['299 - "one", 299 - "two"', '299 - "three"'], ["one", "two", "three"]),
        ([r'299 - "say \"old\" \\ here"'], [r'say "old" \ here']),
        (['110 proxy "stale"', '299 cache.example "not ours"'], []),
        (['299 - "dated" "Wed, 21 Oct 2015 07:28:00 GMT"'], ["dated"]),
        (["299 - unquoted", '299 - "open', "", "\x00"], []),
        (['299 - ""'], [""]),
    ],
)
def test_the_registrys_own_texts_are_read_and_no_others(lines: list[str], texts: list[str]) -> None:
    assert list(texts_of(lines)) == texts


def test_b16_warnings_beyond_the_limit_are_not_read() -> None:
    long = f'299 - "{"a" * (MAX_BYTES - 8)}"'
    assert list(texts_of([long, '299 - "more"'])) == ["a" * (MAX_BYTES - 8)]
    assert list(texts_of(['299 - "' * 10_000])) == ["299 -"] * (MAX_BYTES // 14)


def test_each_text_is_told_once_and_only_so_many(caplog: pytest.LogCaptureFixture) -> None:
    warnings = Warnings("registry.example")
    for number in range(100):
        warnings.hear([f'299 - "number {number // 2}"'])
    assert told(caplog) == [f"registry.example says: number {number}" for number in range(MAX_TOLD)]


async def test_a_pull_tells_each_warning_once_whatever_the_number_of_answers(caplog: pytest.LogCaptureFixture) -> None:
    async with serve(manner=Manner(warnings=("this image is old", "so are you"))) as registry:
        fill(registry)
        async with opened(registry.name("app:1")) as repository:
            assert await repository.resolve(Reference.parse(registry.name("app:1"))) == MANIFEST_DESCRIPTOR
            assert await fetched(repository, described(SMALL)) == SMALL
            assert [tag async for tag in repository.tags()] == ["1"]
    assert told(caplog) == [f"{registry.host} says: this image is old", f"{registry.host} says: so are you"]


async def test_a_push_tells_them_too(caplog: pytest.LogCaptureFixture) -> None:
    async with serve(manner=Manner(warnings=("read-only from Monday on",))) as registry:
        async with opened(registry.name("app:1")) as repository:
            await bring(repository, SMALL)
    assert told(caplog) == [f"{registry.host} says: read-only from Monday on"]


async def test_the_requests_are_the_same_with_and_without_warnings() -> None:
    asked = []
    for warnings in [(), ("delete everything", "retry later")]:
        async with serve(manner=Manner(warnings=warnings)) as registry:
            fill(registry)
            async with opened(registry.name("app:1")) as repository:
                await repository.resolve(Reference.parse(registry.name("app:1")))
                await fetched(repository, described(SMALL))
                await bring(repository, SMALL)
            asked.append([(request.method, request.path.partition("/uploads/")[0]) for request in registry.journal])
    assert asked[0] == asked[1]
