"""Every threat and fault that concerns pulling, unpacking and syncing has a test, or a case of one, named by its id."""

import re
from functools import cache

import pytest

from tests.conftest import ROOT

FAULTS = [f"n{number}" for number in range(1, 35)] + ["l1", "l2", "l3", "l4", "l6", "l7"]
THREATS = [
    *(f"a{number}" for number in range(1, 10)),
    *(f"b{number}" for number in range(1, 21)),
    *(f"c{number}" for number in range(1, 24)),
    *(f"d{number}" for number in (*range(1, 10), 11)),
    *(f"e{number}" for number in range(1, 16)),
    *(f"f{number}" for number in range(1, 15)),
    *(f"g{number}" for number in range(1, 10)),
    *("h1", *(f"h{number}" for number in range(3, 9))),  # h2 is of those who serve content
]
PROMISES = ["r3", "r4", "r5", "r8", "r10", "r11", "r12", "r13"]
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
