"""Real images in Debian's docker-registry, for the whole room; skipped, with the reason, where tools are missing."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bench.build import build
from bench.cache import Cache, default_root
from bench.layout import Image
from bench.registry import Registry, serve
from bench.tool import FetchFailed, MissingTool
from tests.interop.puller import Puller
from tests.tools import skipping_without_tools

# `full` runs the room on the images of the benchmark.
SET = os.environ.get("PULLER_BENCH_SET", "ci")


@pytest.fixture(scope="session")
def cache() -> Cache:
    """Where built images lie between runs, shared with the benchmark."""
    return Cache(default_root(os.environ))


@pytest.fixture(scope="session")
def images(cache: Cache) -> Mapping[str, Image]:
    """The images by name, built and pushed at the first run on a machine."""
    try:
        return build(cache, SET)
    except (MissingTool, FetchFailed) as failure:
        pytest.skip(f"no real images: {failure}")


@pytest.fixture
def registry(cache: Cache, images: Mapping[str, Image], tmp_path: Path) -> Iterator[Registry]:
    """docker-registry without authentication, over what was built."""
    with serve(cache.registry, tmp_path / "registry") as running:
        yield running


@pytest.fixture
def puller(tmp_path: Path) -> Puller:
    """The command line, with a store and a docker configuration of its own."""
    return Puller(tmp_path / "store", tmp_path / "docker")


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Registry]:
    """An empty docker-registry; schema 1 is taken."""
    with skipping_without_tools():
        with serve(tmp_path / "data", tmp_path / "registry") as running:
            yield running
