"""Figures stand only where everyone did the same work."""

import pytest

from bench.contest import Result
from bench.ground import Unmeasurable
from bench.measure import Usage
from bench.unpacking import BUNDLE, prove_same_work


def result(name: str, left: int) -> Result:
    """A contestant that left so many files."""
    return Result(name, (Usage(1.0, 1.0, 1, 0),), left)


def test_as_many_files_and_a_bundle_besides_are_the_same_work() -> None:
    prove_same_work([result("ours", 100), result("umoci", 100 + BUNDLE)], result("tar", 100))


@pytest.mark.parametrize("left", [99, 100 + BUNDLE + 1])
def test_another_number_of_files_is_named_with_who_left_it(left: int) -> None:
    with pytest.raises(Unmeasurable, match=f"ours left {left} files where tar left 100"):
        prove_same_work([result("ours", left)], result("tar", 100))
