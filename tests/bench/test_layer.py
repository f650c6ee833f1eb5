"""Layers of the benchmark: the same bytes every time, and parts that together are the whole."""

import subprocess
from pathlib import Path

import pytest

from bench.cache import Cache
from bench.layer import LayerRecipe, layer_path, packed, split
from tests.bench.handful import Handful


def members(cache: Cache, recipe: LayerRecipe) -> list[str]:
    """The names in a layer's tar, as GNU tar lists them."""
    listing = ["tar", "--list", "--gzip", "--file", str(layer_path(cache, recipe))]
    return subprocess.run(listing, check=True, capture_output=True, text=True).stdout.splitlines()


def test_a_layer_is_the_same_bytes_when_it_is_built_anew(tmp_path: Path) -> None:
    first = packed(Cache(tmp_path / "first"), LayerRecipe(Handful()))
    assert packed(Cache(tmp_path / "second"), LayerRecipe(Handful())) == first


def test_a_layer_that_exists_is_not_built_again(tmp_path: Path) -> None:
    recipe, cache = LayerRecipe(Handful()), Cache(tmp_path)
    packed(cache, recipe)
    before = layer_path(cache, recipe).stat().st_mtime_ns
    packed(cache, recipe)
    assert layer_path(cache, recipe).stat().st_mtime_ns == before


def test_the_parts_of_a_tree_hold_each_file_once_with_its_folders(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    recipes = [LayerRecipe(Handful(), part=part, parts=3) for part in range(3)]
    for recipe in recipes:
        packed(cache, recipe)
    files = [name for recipe in recipes for name in members(cache, recipe) if not name.endswith("/")]
    assert sorted(files) == sorted(["usr/link", *(f"usr/share/{n % 3}/file{n}" for n in range(12))])
    assert all(members(cache, recipe)[:2] == ["./", "usr/"] for recipe in recipes)


@pytest.mark.parametrize("parts", [1, 2, 7, 39, 40])
def test_a_split_keeps_order_and_leaves_no_part_empty(parts: int) -> None:
    weighted = [(Path(f"{number:02}"), 1 if number % 5 else 100) for number in range(40)]
    result = split(weighted, parts)
    assert len(result) == parts
    assert all(result)
    assert [path for part in result for path in part] == [path for path, _ in weighted]


def test_the_first_part_of_a_split_weighs_the_most() -> None:
    result = split([(Path(str(number)), 10) for number in range(1000)], 10)
    assert [len(part) for part in result] == sorted((len(part) for part in result), reverse=True)
    assert len(result[0]) > 300
