"""Build the real images, once, and push them to docker-registry's data: `python -m bench.build [--set ci|full]`.

A second run finds everything and ends at once; an interrupted one goes on where it stopped.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.cache import Cache, default_root, locked, remove
from bench.layer import LayerRecipe, layer_path, packed
from bench.layout import Image, Recipe, laid_out
from bench.push import push_all
from bench.recipe import recipes
from bench.tool import MissingTool, ToolFailed
from bench.tree import grown


def build(cache: Cache, set_name: str, *, keep_trees: bool = False) -> dict[str, Image]:
    """Make sure of a whole set, pushed, by name; raises MissingTool or ToolFailed, keeping what was finished."""
    wanted = recipes(set_name)
    with locked(cache):
        _make_layers(cache, _layer_recipes(wanted))
        images = {recipe.name: laid_out(cache, set_name, recipe) for recipe in wanted}
        push_all(cache, set_name, images)
        if not keep_trees:
            remove(cache.trees)
    return images


def _layer_recipes(wanted: Iterable[Recipe]) -> list[LayerRecipe]:
    return list(dict.fromkeys(layer for recipe in wanted for image in recipe.images for layer in image.layers))


def _make_layers(cache: Cache, wanted: Iterable[LayerRecipe]) -> None:
    missing = [recipe for recipe in wanted if not layer_path(cache, recipe).exists()]
    trees = dict.fromkeys(recipe.tree for recipe in missing)
    # Fetching waits for the network and packing for one core each, so a few at a time serve both.
    with ThreadPoolExecutor(max_workers=2) as pool:
        for tree in pool.map(lambda tree: (grown(cache, tree), tree)[1], trees):
            _say("unpacked %s", tree.name)
        for recipe in pool.map(lambda recipe: (packed(cache, recipe), recipe)[1], missing):
            _say("packed %s (%d of %d, %s)", recipe.tree.name, recipe.part + 1, recipe.parts, recipe.compression)


def _say(text: str, *values: object) -> None:
    print(text % values, file=sys.stderr, flush=True)


def describe(image: Image) -> str:
    """One line for people: layers, sizes in MB, files."""
    unpacked = sum(layer.unpacked for layer in image.layers)
    entries = sum(layer.entries for layer in image.layers)
    sizes = f"{image.size / 1e6:7.1f} MB compressed, {unpacked / 1e6:7.1f} MB of tar, {entries:6d} entries"
    return f"{image.name:8s} {len(image.layers):2d} layers, {sizes}  {image.digest}"


def main() -> int:
    """Build a set and list it; 1 with one line of reason where a tool is missing or a download fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.build", description=__doc__)
    parser.add_argument("--set", choices=("ci", "full"), default="full", dest="set_name")
    parser.add_argument("--dir", type=Path, default=default_root(os.environ), help="the cache (default: %(default)s)")
    parser.add_argument("--keep-trees", action="store_true", help="keep the unpacked files the layers were made of")
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        images = build(Cache(arguments.dir), arguments.set_name, keep_trees=arguments.keep_trees)
    except (MissingTool, ToolFailed) as failure:
        print(f"bench.build: {failure}", file=sys.stderr)
        return 1
    for image in images.values():
        print(describe(image))
    print(f"in {arguments.dir}, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
