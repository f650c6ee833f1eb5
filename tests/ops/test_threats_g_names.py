"""THREATS A8, A9 and C23 against loads: which names an archive may give, and to what."""

from pathlib import Path

import pytest

from puller.errors import (
    LimitExceeded,
    PullerError,
)
from tests.archive.building import (
    BASE,
    TOP,
    A,
    B,
    D,
    docker,
    document,
    entries_of,
    folder,
    repositories,
    without,
)
from tests.ops.loader import loader, refused

pytestmark = pytest.mark.slow  # many small tests: for `make test`


@pytest.mark.parametrize("image_id", [D, "e" * 64])
async def test_a9_names_are_for_images_of_the_archive_alone(tmp_path: Path, image_id: str) -> None:
    await refused(tmp_path, [*folder(A), repositories({"r": {"latest": A}, "evil": {"latest": image_id}})])


@pytest.mark.parametrize("text", [A[:12], A.upper(), "", "../x", 7, None, [A]], ids=repr)
async def test_a8_names_are_for_whole_ids_alone(tmp_path: Path, text: object) -> None:
    await refused(tmp_path, [*folder(A), repositories({"r": {"latest": text}})])


@pytest.mark.parametrize(
    "repository", ["../x", "UPPER", "a b", "", "r:tag", "-r", "a" * 64, "scratch", "r@sha256:" + A]
)
async def test_c23_a_repository_that_is_none_is_refused(tmp_path: Path, repository: str) -> None:
    await refused(tmp_path, [*folder(A), repositories({repository: {"latest": A}})])


@pytest.mark.parametrize("tag", ["", ".", "-t", "a b", "t" * 129, "x\n", "sha256:abc", "md5:" + "a" * 32])
async def test_c23_a_tag_that_is_none_is_refused(tmp_path: Path, tag: str) -> None:
    await refused(tmp_path, [*folder(A), repositories({"r": {tag: A}})])


@pytest.mark.parametrize("name", ["UPPER:1", "app", "app@sha256:" + A, "../x:1", "scratch:1"])
async def test_c23_names_of_manifest_json_are_held_to_the_same_rules(tmp_path: Path, name: str) -> None:
    await refused(tmp_path, docker([BASE], [name]))


async def test_a9_a_million_tags_do_not_fit(tmp_path: Path) -> None:
    names = {f"t{number}": A for number in range(20_000)}
    await refused(tmp_path, [*folder(A), repositories({"r": names})], LimitExceeded)


async def test_a9_a_name_that_the_archive_gives_to_two_images_is_refused(tmp_path: Path) -> None:
    first, second = docker([BASE], ["app:1"]), docker([TOP], ["app:1"])
    entries = document([*entries_of(first), *entries_of(second)])
    await refused(
        tmp_path, [*without(first, "manifest.json"), *without(second, "manifest.json"), ("manifest.json", entries)]
    )


async def test_a9_a_digest_is_never_taken_from_the_image_that_has_it(tmp_path: Path) -> None:
    name = {"r": {f"sha256:{'9' * 64}": A}}
    async with loader(tmp_path) as s:
        await s.load([*folder(A), repositories(name)])
        error = await s.refused([*folder(B), repositories({"r": {f"sha256:{'9' * 64}": B}})], PullerError)
        assert "in use" in error.what


async def test_a9_no_retag_refuses_names_in_use_before_anything_is_changed(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load([*folder(A), repositories({"r": {"latest": A}})])
        await s.load(docker([BASE], ["app:1"]))
        for archive in (
            [*folder(B), repositories({"r": {"latest": B}})],
            docker([TOP], ["r:latest"]),
            docker([TOP], ["app:1"]),
            [*folder(B), repositories({"app": {"1": B}})],
        ):
            error = await s.refused(archive, PullerError, retag=False)
            assert "in use" in error.what
        await s.load([*folder(A), repositories({"r": {"latest": A}})], retag=False)
        await s.load(docker([BASE], ["app:1"]), retag=False)
