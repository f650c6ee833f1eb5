"""held_line: what a verb reads of a graph stays while it reads."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from puller.errors import ContentMissing, PullerError
from puller.graph.graph import DiskGraph
from puller.ops.graphs.held import held_line
from tests.ops.two_worlds import two_worlds


class Slow:
    """A graph in which something happens between the first look and the hold."""

    def __init__(self, images: DiskGraph, gone: Sequence[str] = ()) -> None:
        self._images = images
        self._gone = gone
        self.threads: list[threading.Thread] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._images, name)

    @contextmanager
    def holding(self, image_ids: Sequence[str]) -> Iterator[None]:
        self.threads.append(threading.current_thread())
        for image_id in self._gone:
            self._images.delete(image_id)
        with self._images.holding(image_ids):
            yield


async def test_a_line_is_held_while_the_block_runs_and_no_longer(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds, worlds.store.lease() as lease:
        base, top = worlds.stack("base", "top")
        async with held_line(top, worlds.graph, lease) as line:
            assert [image.image_id for image in line] == [top, base]
            with pytest.raises(PullerError):
                worlds.images.delete(top)
        assert not worlds.images.is_held(base)
        worlds.images.delete(top)


async def test_an_image_that_goes_before_it_is_held_is_missed_at_once(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds, worlds.store.lease() as lease:
        _, top = worlds.stack("base", "top")
        graph = replace(worlds.graph, images=Slow(worlds.images, gone=[top]))
        with pytest.raises(ContentMissing):
            async with held_line(top, graph, lease):
                raise AssertionError("a line with a hole")


async def test_locks_are_waited_for_in_a_worker_thread(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds, worlds.store.lease() as lease:
        slow = Slow(worlds.images)
        (base,) = worlds.stack("base")
        async with held_line(base, replace(worlds.graph, images=slow), lease):
            assert threading.main_thread() not in slow.threads
        assert len(slow.threads) == 1
