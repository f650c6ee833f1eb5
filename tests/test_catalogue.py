"""docs/catalogue.md: every attack on the wire, and on syncs, is in a table, with tests that are there."""

import ast
import re
from functools import cache

from tests.conftest import ROOT

TABLE = (ROOT / "docs/catalogue.md").read_text("utf-8")
_ROW = re.compile(r"^\| ([A-Z]\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
UNTESTED = ["H2"]  # puller serves nothing
_TEST = re.compile(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")


@cache
def known_in(path: str) -> frozenset[str]:
    """The names of the tests of a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_attack_on_the_wire_and_on_syncs_has_its_row() -> None:
    syncs = ["A5", "C20", *(f"H{number}" for number in range(1, 9)), "R13"]
    assert [row[0] for row in _ROW.findall(TABLE)] == [*(f"B{number}" for number in range(1, 21)), *syncs]


def test_every_row_names_two_tests_and_one_of_its_own_id() -> None:
    rows = {id_: [name for _, name in _TEST.findall(shown)] for id_, _, shown in _ROW.findall(TABLE)}
    assert [id_ for id_, names in rows.items() if len(names) < 2] == UNTESTED
    assert [
        id_
        for id_, names in rows.items()
        if id_ not in UNTESTED and not any(f"_{id_.lower()}_" in name for name in names)
    ] == []


def test_every_test_named_is_there() -> None:
    named = _TEST.findall(TABLE)
    assert len(named) > 80
    assert [(path, name) for path, name in named if name not in known_in(path)] == []
