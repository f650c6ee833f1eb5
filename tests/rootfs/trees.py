"""Pairs of trees, opened, compared and packed: what the tests of differences share."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from puller.model.change import Change
from puller.rootfs.changes import compare
from puller.rootfs.erasing import Erasing
from puller.rootfs.finding import Finding
from puller.rootfs.pack import pack_changes
from puller.rootfs.survey import Stratum, Survey
from tests.rootfs.layering import apply


@contextmanager
def opened(*paths: Path) -> Iterator[list[int]]:
    """Directories, open."""
    with ExitStack() as stack:
        fds = []
        for path in paths:
            fds.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
            stack.callback(os.close, fds[-1])
        yield fds


def findings(*paths: Path, sidecars: Sequence[Path] = (), marks: bool = False) -> list[Finding]:
    """What a survey of these directories finds, the nearest first; `sidecars` are all the first one's."""
    with opened(*paths) as fds:
        tree = [Stratum(fd, () if number else sidecars) for number, fd in enumerate(fds)]
        with Survey(tree, marks=marks) as survey:
            return list(survey)


def compared(old: Path, new: Path, *, strict: bool = False, directory_times: bool = False) -> list[Change]:
    with opened(old, new) as (before, now):
        return compare(before, now, strict=strict, directory_times=directory_times)


def told(changes: list[Change]) -> list[str]:
    """Changes as people read them, with what differs."""
    return [" ".join([str(change), *change.differs]) for change in changes]


def difference(old: Path, new: Path) -> bytes:
    """The layer that makes one tree the other, in every respect."""
    with opened(old, new) as (before, now):
        return b"".join(pack_changes(now, compare(before, now, strict=True)))


def copied(source: Path, target: Path) -> Path:
    """The same tree once more, times and hard links kept."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    return target


def flat(base: Path, archives: Sequence[bytes]) -> Path:
    """The tree that these layers give."""
    base.mkdir()
    for number, archive in enumerate(archives):
        apply(base, archive, devices=True, whiteouts=Erasing() if number else None)
    return base
