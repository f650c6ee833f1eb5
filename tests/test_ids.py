"""Every threat and fault that concerns pulling and unpacking has a test, or a case of one, named by its id."""

import re
from functools import cache

import pytest

from tests.conftest import ROOT

FAULTS = [f"n{number}" for number in range(1, 35)] + ["l1", "l2", "l3", "l4", "l7"]
THREATS = [
    *("a1", "a2", "a3", "a4", "a6", "a7", "a8", "a9"),
    *(f"b{number}" for number in range(1, 21)),
    *(f"c{number}" for number in range(1, 20)),
    *("c21", "c22", "c23"),
    *(f"d{number}" for number in (*range(1, 10), 11)),
    *(f"e{number}" for number in range(1, 16)),
    *(f"f{number}" for number in range(1, 15)),
    *(f"g{number}" for number in range(1, 10)),
]
PROMISES = ["r3", "r4", "r10", "r11"]
_NAMED = re.compile(r"^\s*(?:async )?def (test_[a-z0-9_]+)", re.MULTILINE)
_CASE = re.compile(r"\b(?:story|attack|refused|Vector)\(\s*f?\"([a-z0-9_]+)")  # of tests/rootfs: attacks as data


@cache
def named_ids() -> frozenset[str]:
    """The ids that stand in the name of at least one test."""
    names = [name for path in (ROOT / "tests").rglob("test_*.py") for name in _NAMED.findall(path.read_text("utf-8"))]
    names += [name for path in (ROOT / "tests/rootfs").glob("*.py") for name in _CASE.findall(path.read_text("utf-8"))]
    return frozenset(word for name in names for word in name.split("_"))


@pytest.mark.parametrize("id_", FAULTS + THREATS + PROMISES)
def test_the_id_has_a_test_of_its_name(id_: str) -> None:
    assert id_ in named_ids()
