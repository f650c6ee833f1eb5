"""The recorded vectors are all here: a test that runs over too few of them proves too little."""

import pytest

from tests.legacy.golden import cases, golden, recorded

COUNTS = {"imageconfig": 331, "chains": 25, "idreuse": 86, "schema1": 134, "digest": 34, "trynextid": 16}


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_all_recorded_cases_are_here(name: str, count: int) -> None:
    assert len(cases(name)) == count


@pytest.mark.parametrize(("topic", "count"), [("version_compare", 56), ("validate_id", 12)])
def test_all_recorded_cases_of_small_topics_are_here(topic: str, count: int) -> None:
    assert len(recorded("misc")[topic]) == count


def test_all_manifests_from_the_wild_are_here_with_what_was_computed_of_them() -> None:
    expected = recorded("expected")
    assert (len(expected["schema1"]), len(expected["chains"])) == (17, 14)
    # One was text in a specification, no file and no JSON: only that it fails was recorded.
    files = {name.removeprefix("fixtures/") for name in golden()}
    absent = {case["name"] for case in expected["schema1"] if case["name"] not in files}
    assert absent == {"distribution/manifest-v2-1.example0.not-valid-json.json"}


def test_what_the_signer_refused_is_here() -> None:
    assert recorded("schema1_unsignable") == ["array_payload", "trailing_comma_payload"]
