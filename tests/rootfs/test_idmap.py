"""Maps of owners."""

import pytest

from puller.errors import InvalidConfig, Unsupported
from puller.rootfs.idmap import SAME, IdMap


def test_without_ranges_an_id_stands_for_itself() -> None:
    assert SAME[2**32 - 2] == 2**32 - 2


@pytest.mark.parametrize(("inside", "outside"), [(0, 1000), (1, 100000), (65535, 165534)])
def test_ranges_map_their_first_and_last(inside: int, outside: int) -> None:
    assert IdMap.parse(["0:1000:1", "1:100000:65535"])[inside] == outside


@pytest.mark.parametrize("inside", [0, 9, 20])
def test_an_id_in_no_range_is_refused(inside: int) -> None:
    with pytest.raises(Unsupported, match="outside the given map"):
        IdMap.parse(["10:1000:10"])[inside]


@pytest.mark.parametrize("text", ["", "1", "1:2", "1:2:3:4", "a:2:3", "-1:2:3", "1:2: 3", "12345678901:1:1"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig):
        IdMap.parse([text])


@pytest.mark.parametrize(
    "texts",
    [["0:1:0"], ["0:4294967294:2"], ["4294967294:0:2"], ["0:10:5", "4:20:5"], ["0:10:5", "5:14:5"]],
    ids=["empty", "outside_too_high", "inside_too_high", "inside_twice", "outside_twice"],
)
def test_ranges_that_cannot_be_are_refused(texts: list[str]) -> None:
    with pytest.raises(InvalidConfig, match="overlap or go too far"):
        IdMap.parse(texts)
