"""Rounds: everyone in turn, into an empty folder, and a daemon's work is its contestant's."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bench.contest import contest
from bench.contestant import Contestant
from bench.measure import Usage

pytestmark = pytest.mark.slow  # many small tests: for `make test`


@dataclass
class Ledger:
    """A daemon that costs ten seconds a run and notes when it was asked to begin."""

    begun: list[bool] = field(default_factory=list)
    folder: Path = Path()

    def begin(self) -> None:
        self.begun.append(any(self.folder.iterdir()))

    def added(self, usage: Usage) -> Usage:
        return replace(usage, cpu=usage.cpu + 10)


def noting(name: str, log: Path) -> Contestant:
    """A contestant that writes its name, and how many names its folder holds before it makes one."""
    script = 'echo "$0 $(ls "$1" | wc -l)" >> "$2"; touch "$1/made"'
    return Contestant(name, lambda folder: ["sh", "-c", script, name, str(folder), str(log)])


def test_everyone_runs_in_turn_beginning_with_another_and_finds_an_empty_folder(tmp_path: Path) -> None:
    log = tmp_path / "log"
    contest([noting("a", log), noting("b", log)], rounds=2, scratch=tmp_path, env=os.environ)
    assert log.read_text().splitlines() == ["a 0", "b 0", "b 0", "a 0", "a 0", "b 0"]


def test_the_first_round_is_not_counted(tmp_path: Path) -> None:
    (result,) = contest([noting("a", tmp_path / "log")], rounds=3, scratch=tmp_path, env=os.environ)
    assert len(result.usages) == 3


def test_a_daemon_begins_before_each_run_and_its_work_is_added(tmp_path: Path) -> None:
    daemon = Ledger(folder=tmp_path / "store")
    contestant = replace(noting("a", tmp_path / "log"), daemon=daemon)
    (result,) = contest([contestant], rounds=2, scratch=tmp_path, env=os.environ)
    assert daemon.begun == [False] * 3
    assert all(10 < usage.cpu < 20 for usage in result.usages)


def test_what_a_contestant_leaves_is_counted_with_its_folders(tmp_path: Path) -> None:
    maker = Contestant("a", lambda folder: ["sh", "-c", 'mkdir "$0/d"; touch "$0/d/e" "$0/f"', str(folder)])
    (result,) = contest([maker], rounds=1, scratch=tmp_path, env=os.environ)
    assert result.left == 3
