"""Unique prefixes, by moby's own test of its index and by what was recorded of it."""

from typing import Any

import pytest

from puller.errors import ContentMissing, InvalidReference, PullerError
from puller.graph.prefixes import unique
from tests.legacy.golden import recorded


@pytest.mark.parametrize("case", recorded("misc")["truncindex"], ids=lambda case: case["ids"][0])
def test_prefixes_are_found_as_recorded_of_the_original(case: dict[str, Any]) -> None:
    ids = [name for name in case["ids"] if name and " " not in name]  # what its index took
    for query in case["queries"]:
        try:
            found, error = unique(query["q"], ids), None
        except PullerError as refusal:
            found, error = "", refusal.what
        assert (found, error) == (query["id"], query["error"])


def test_trunc_index_nothing_is_found_in_an_empty_index_nor_after_its_id_is_gone() -> None:
    ids = {"99b36c2c326ccc11e726eee6ee78a0baf166ef96"}
    assert unique("99b36c", ids) == "99b36c2c326ccc11e726eee6ee78a0baf166ef96"
    with pytest.raises(ContentMissing, match="no such id: 99b36c"):
        unique("99b36c", ids - {"99b36c2c326ccc11e726eee6ee78a0baf166ef96"})
    with pytest.raises(InvalidReference, match="Prefix can't be empty"):
        unique("", set())


def test_a_prefix_of_several_is_refused_and_named() -> None:
    with pytest.raises(InvalidReference) as error:
        unique("ab", ["abc", "abd"])
    assert error.value.got == "ab"
