"""Nobody wins by keeping what an earlier run fetched."""

from pathlib import Path

import pytest

from bench.contestant import Task
from bench.ground import Unmeasurable
from bench.layer import Layer
from bench.layout import Image
from bench.pulling import prove_all_was_fetched, served
from bench.registry import Registry

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def line(digest: str, size: int, method: str = "GET") -> str:
    """What the registry writes of one answer."""
    return f'127.0.0.1 - - [22/Nov/2025:18:46:38 +0000] "{method} /v2/a/blobs/{digest} HTTP/1.1" 200 {size} "" "x"\n'


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """An image of two layers of 100 and 50 bytes, from a registry whose log is still empty."""
    layers = tuple(Layer(digest, size, "", 0, 0, "") for digest, size in ((ONE, 100), (TWO, 50)))
    log = tmp_path / "log"
    log.touch()
    return Task(Registry("127.0.0.1:5000", "http", log), "a", Image("a", "", tmp_path, layers))


def test_only_what_was_sent_of_the_layers_counts(task: Task) -> None:
    manifest = "sha256:" + "3" * 64
    task.registry.log.write_text(line(ONE, 100) + line(TWO, 50) + line(manifest, 7) + line(ONE, 100, "HEAD"))
    assert served(task) == 150


def test_runs_that_each_fetched_everything_pass(task: Task) -> None:
    task.registry.log.write_text(line(ONE, 100) + line(TWO, 50) + (line(ONE, 100) + line(TWO, 50)) * 2)
    prove_all_was_fetched(task, 150, runs=2, patience=0.0)


def test_a_run_that_kept_a_layer_of_an_earlier_one_makes_all_figures_worthless(task: Task) -> None:
    task.registry.log.write_text(line(ONE, 100) + line(TWO, 50) + line(ONE, 100))
    with pytest.raises(Unmeasurable, match="its store was not empty"):
        prove_all_was_fetched(task, 0, runs=2, patience=0.0)
