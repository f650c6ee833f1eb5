"""The mirror guide: what it shows is read, and it speaks of every key that the schema has."""

import json
import re
from typing import Any

import pytest

from puller.mirror.formats import read
from tests.conftest import ROOT

GUIDE = (ROOT / "docs" / "mirroring.md").read_text()
SCHEMA = json.loads((ROOT / "docs" / "mirror.schema.json").read_text())
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.M | re.S)
SECTIONS = {
    "At the top": SCHEMA,
    "Of `registries`": SCHEMA["$defs"]["registry"],
    "Of `mirrors`": SCHEMA["$defs"]["mirror"],
    "Of `repositories`": SCHEMA["$defs"]["mirror"]["properties"]["repositories"],
    "Of `tags`": SCHEMA["$defs"]["tags"],
    "Of `prune`": SCHEMA["$defs"]["prune"],
}


def keys_of(schema: dict[str, Any]) -> set[str]:
    """The keys of an object, and of those within it that have no section of their own."""
    found = set(schema["properties"])
    if "login" in found:
        found |= set(schema["properties"]["login"]["properties"]) | set(SCHEMA["$defs"]["pointer"]["properties"])
    return found


def rows_of(title: str) -> list[str]:
    """The first cells of the table below a heading."""
    _, _, rest = GUIDE.partition(f"\n### {title}\n")
    section = re.split(r"^#", rest, maxsplit=1, flags=re.M)[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.M)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_file_in_the_guide_is_read(number: int) -> None:
    config = read(BLOCKS[number].encode(), f"block {number + 1}")

    assert config.mirrors


@pytest.mark.parametrize("title", SECTIONS)
def test_the_guide_has_a_row_for_every_key_of_the_schema_and_for_no_other(title: str) -> None:
    rows = rows_of(title)

    assert sorted(rows) == sorted(keys_of(SECTIONS[title]))


def test_the_examples_show_every_key_of_a_mirror_and_of_what_is_in_it() -> None:
    shown = "\n".join(BLOCKS)
    for title in ("Of `mirrors`", "Of `tags`", "Of `prune`", "Of `registries`"):
        for key in keys_of(SECTIONS[title]):
            assert re.search(rf"[{{ \n-]{key}:", shown), f"no example has {key}"


def test_no_object_of_the_schema_is_without_a_section() -> None:
    objects = {name for name, schema in SCHEMA["$defs"].items() if schema.get("type") == "object"}

    assert objects == {"pointer", "registry", "mirror", "tags", "prune"}
