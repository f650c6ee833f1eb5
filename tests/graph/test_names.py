"""Names as Docker 1.9 took them apart: what was recorded of it, and its own tests."""

import pytest

from puller.errors import InvalidReference
from puller.graph import names
from tests.graph.recorded import sentence
from tests.legacy.golden import recorded

MISC = recorded("misc")


@pytest.mark.parametrize("case", MISC["normalize_local_name"], ids=lambda case: case["name"] or "empty")
def test_repositories_are_normalised_as_recorded_of_the_original(case: dict[str, str]) -> None:
    assert names.normalised(case["name"]) == case["local"]


@pytest.mark.parametrize("case", MISC["parse_repository_tag"], ids=lambda case: case["name"] or "empty")
def test_names_are_split_as_recorded_of_the_original(case: dict[str, str]) -> None:
    assert names.split(case["name"]) == (case["repo"], case["tag"])


@pytest.mark.parametrize("case", MISC["image_reference"], ids=lambda case: case["reference"])
def test_names_are_joined_as_recorded_of_the_original(case: dict[str, str]) -> None:
    assert names.join(case["repo"], case["ref"]) == case["reference"]


@pytest.mark.parametrize("case", MISC["validate_tag"], ids=lambda case: repr(case["tag"])[:20])
def test_tags_are_taken_or_refused_as_recorded_of_the_original(case: dict[str, str]) -> None:
    assert sentence(lambda: names.check_tag(case["tag"])) == case["error"]


@pytest.mark.parametrize("tag", ["9", "foo", "foo-test", "bar.baz.boo"])
def test_valid_tag_name(tag: str) -> None:
    names.check_tag(tag)


@pytest.mark.parametrize("tag", ["-9", ".foo", "-test", ".", "-"])
def test_invalid_tag_name(tag: str) -> None:
    with pytest.raises(InvalidReference, match="Illegal tag name"):
        names.check_tag(tag)


@pytest.mark.parametrize("text", ["", "latest", "a:b", "aaa0124abcd", "sha256:", "sha256:xyz", "md5:ab"])
def test_validate_digest_refuses_what_is_none(text: str) -> None:
    with pytest.raises(InvalidReference):
        names.check_digest(text)


@pytest.mark.parametrize("text", ["sha256:b", "tarsum+v1+sha256:bY852-_.+=", "sha512:AB"])
def test_validate_digest_takes_what_the_original_took(text: str) -> None:
    names.check_digest(text)


@pytest.mark.parametrize("name", ["scratch", "library/scratch", "docker.io/scratch", "index.docker.io/library/scratch"])
def test_nothing_is_called_scratch_by_whatever_name(name: str) -> None:
    with pytest.raises(InvalidReference, match="'scratch' is a reserved name"):
        names.check_repository(name)
