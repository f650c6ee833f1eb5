"""Every threat and fault that concerns pulling has a test named by its id."""

import re

import pytest

from tests.conftest import ROOT

FAULTS = [f"n{number}" for number in range(1, 35)] + ["l1", "l2", "l3", "l4", "l7"]
THREATS = [
    *("a2", "a3", "a4", "a6", "a7"),
    *(f"b{number}" for number in range(1, 21) if number != 10),
    *(f"c{number}" for number in range(1, 20)),
    *("c21", "c22"),
    *("d1", "d4", "d5", "d6", "d7"),
]
_NAMED = re.compile(r"^\s*(?:async )?def (test_[a-z0-9_]+)", re.MULTILINE)


def named_ids() -> set[str]:
    """The ids that stand in the name of at least one test."""
    names = [name for path in (ROOT / "tests").rglob("test_*.py") for name in _NAMED.findall(path.read_text("utf-8"))]
    return {word for name in names for word in name.split("_")}


@pytest.mark.parametrize("id_", FAULTS + THREATS)
def test_the_id_has_a_test_of_its_name(id_: str) -> None:
    assert id_ in named_ids()
