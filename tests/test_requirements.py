"""What this program stands on: libraries no older than those without known holes, and none that trusts its input."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.conftest import ROOT

# The first without CVE-2026-22815 (trailers without end) and its kin.
AIOHTTP = Version("3.14.3")
# tarfile has had holes in every interpreter we run on; the others run what they read (THREATS H6).
TRUSTING = {"tarfile", "pickle", "marshal", "shelve", "dbm"}


def required(name: str) -> Requirement:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return next(found for found in map(Requirement, project["dependencies"]) if found.name == name)


def imported() -> Iterator[tuple[Path, str]]:
    """Every module of this program, and what it imports."""
    for path in sorted((ROOT / "puller").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield path, (node.module or "").partition(".")[0]


@pytest.mark.parametrize("older", ["3.14.2", "3.13.9", "3.9.0", "4.0.0"])
def test_h8_no_aiohttp_is_taken_that_has_known_holes_or_is_not_known(older: str) -> None:
    assert older not in required("aiohttp").specifier


def test_h8_the_aiohttp_of_the_tests_is_one_that_is_taken() -> None:
    assert AIOHTTP in required("aiohttp").specifier
    assert Version(aiohttp.__version__) in required("aiohttp").specifier
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    assert Version(pinned["aiohttp"]) >= AIOHTTP


def test_h6_h8_nothing_is_read_by_a_library_that_trusts_its_input() -> None:
    assert [(str(path), name) for path, name in imported() if name in TRUSTING] == []
