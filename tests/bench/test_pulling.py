"""Nobody wins by keeping what an earlier run fetched, or by unpacking nothing."""

from pathlib import Path

import pytest

from bench.contest import Result
from bench.contestant import Task
from bench.ground import Unmeasurable
from bench.layer import Layer
from bench.layout import Image
from bench.measure import Usage
from bench.pulling import prove_all_was_fetched, prove_all_was_unpacked, served
from bench.registry import Registry

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def line(digest: str, size: int, method: str = "GET") -> str:
    """What the registry writes of one answer."""
    return f'127.0.0.1 - - [22/Nov/2025:18:46:38 +0000] "{method} /v2/a/blobs/{digest} HTTP/1.1" 200 {size} "" "x"\n'


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """An image of two layers of 100 and 50 bytes, 3 and 4 entries, from a registry whose log is still empty."""
    layers = tuple(Layer(digest, size, "", 0, entries, "") for digest, size, entries in ((ONE, 100, 3), (TWO, 50, 4)))
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


def result(left: int) -> Result:
    """A contestant that left so many files."""
    return Result("puller", (Usage(1.0, 1.0, 1, 0),), left)


def test_stores_that_hold_every_entry_pass(task: Task) -> None:
    prove_all_was_unpacked(task, [result(7), result(9)])


def test_a_store_of_blobs_alone_makes_all_figures_worthless(task: Task) -> None:
    with pytest.raises(Unmeasurable, match="puller left 6 files where the layers hold 7"):
        prove_all_was_unpacked(task, [result(7), result(6)])
