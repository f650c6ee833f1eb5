"""docs/registries.md: every line of the comparison names a test that is there."""

import re

from tests.conftest import ROOT
from tests.test_catalogue import known_in

PAGE = (ROOT / "docs/registries.md").read_text("utf-8")
_LINE = re.compile(r"^\| (?!-)(.+?) \|(?:.*\|){4}(.*)\|$", re.MULTILINE)
_TEST = re.compile(r"`([a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")


def test_every_line_names_a_test_that_is_there() -> None:
    lines = [(what, _TEST.findall(shown)) for what, shown in _LINE.findall(PAGE) if what.strip()]
    assert len(lines) > 40
    assert [what for what, tests in lines if not tests] == []
    named = [test for _, tests in lines for test in tests]
    assert [(path, name) for path, name in named if name not in known_in(f"tests/{path}")] == []
