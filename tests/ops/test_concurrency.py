"""Many pulls of one image, and pulls that end in the middle: nothing is fetched twice, nothing is left half done."""

import asyncio
import contextvars
import os
import signal
import time
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest

from puller.model.digest import Digest
from testregistry import TestRegistry, faults, images, serve
from testregistry.layers import Layer
from tests.cli.program import ended, ran, started
from tests.ops.story import BASE, LARGE, TOP, Story, blob_of, names_in, passed, story

pytestmark = pytest.mark.slow


IMAGE = images.image(LARGE)
SMALL = images.image(BASE, TOP)


# --- many at once --------------------------------------------------------------------------------------------------


async def test_n30_fifty_pulls_of_one_image_at_once_fetch_each_blob_once(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", SMALL)
        async with asyncio.TaskGroup() as group:
            pulls = [group.create_task(s.pull()) for _ in range(50)]
        assert {pull.result().digest for pull in pulls} == {SMALL.digest}
        for digest in (SMALL.digest, SMALL.config.digest, BASE.digest, TOP.digest):
            assert s.registry.journal.gets(digest) == 1


async def test_n30_pulls_of_many_tags_that_share_layers_fetch_each_layer_once(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        for tag in range(12):
            s.registry.add(f"app:{tag}", images.image(BASE, images.layer({f"{tag}": b"own"})))
        async with asyncio.TaskGroup() as group:
            for tag in range(12):
                group.create_task(s.pull(f"app:{tag}"))
        assert s.registry.journal.gets(BASE.digest) == 1
        assert len(await s.tags()) == 12


async def test_platforms_of_one_index_pulled_at_once_are_all_present_in_the_end(tmp_path: Path) -> None:
    platforms = [f"linux/{cpu}" for cpu in ("amd64", "arm64", "s390x", "ppc64le", "riscv64")]
    parts = [images.image(images.layer({p: b""}), platform=("linux", p.partition("/")[2])) for p in platforms]
    left_out = images.image(TOP, platform=("linux", "mips64le"))
    index = images.index(*parts, left_out)
    async with story(tmp_path) as s:
        s.registry.add("app:1", index)
        async with asyncio.TaskGroup() as group:
            for platform in platforms:
                group.create_task(s.pull(platforms=[platform]))
        assert (await s.store.facts(Digest.parse(index.digest))).absent == (Digest.parse(left_out.digest),)


@pytest.mark.slow
async def test_r5_n30_eight_processes_pull_one_image_at_once_and_fetch_each_blob_once(tmp_path: Path) -> None:
    layers = [images.layer({f"{i}": bytes(range(256)) * 4000}) for i in range(4)]
    image = images.image(*layers, platform=("linux", _machine()))
    async with serve() as registry:
        registry.add("app:1", image)
        words = ("pull", registry.name("app:1"), "--store", str(tmp_path / "store"), "--quiet")
        processes = [await started(*words, home=tmp_path) for _ in range(8)]
        ends = [await ended(process) for process in processes]
        assert {(end.code, end.err) for end in ends} == {(0, "")}
        assert {end.out for end in ends} == {f"{registry.name('app:1')}  {image.digest}\n"}
        for digest in (image.digest, image.config.digest, *(layer.digest for layer in layers)):
            assert registry.journal.gets(digest) == 1
        audit = await ran("verify", "--all", "--store", str(tmp_path / "store"), home=tmp_path)
        assert audit.code == 0


# --- cancelled in the middle -----------------------------------------------------------------------------------------


class Steps:
    """Counts how often the tasks of one piece of work are resumed, and cancels it at one of these moments."""

    def __init__(self, cancel_at: int | None) -> None:
        self.taken = 0
        self._cancel_at = cancel_at
        self.task: asyncio.Task[Any] | None = None
        self.children: list[asyncio.Task[Any]] = []

    def step(self) -> None:
        self.taken += 1
        if self.taken == self._cancel_at and self.task is not None:
            self.task.cancel()


_steps: contextvars.ContextVar[Steps | None] = contextvars.ContextVar("steps", default=None)


class _Counted:
    """Runs a coroutine as it is, and reports every point at which it waits."""

    def __init__(self, work: Coroutine[Any, Any, Any], steps: Steps) -> None:
        self._work = work
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._work.__await__()
        answer: Any = None
        failure: BaseException | None = None
        while True:
            try:
                waited_for = inner.send(answer) if failure is None else inner.throw(failure)
            except StopIteration as end:
                return end.value
            self._steps.step()
            answer, failure = None, None
            try:
                answer = yield waited_for
            except BaseException as error:
                failure = error


def _counting(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    steps = (options.get("context") or contextvars.copy_context()).get(_steps)

    if steps is None:
        return asyncio.Task(work, loop=loop, **options)

    async def counted() -> Any:
        return await _Counted(work, steps)

    task = asyncio.Task(counted(), loop=loop, **options)
    steps.children.append(task)
    return task


async def cancelled_at(s: Story, step: int | None) -> tuple[int, bool]:
    """Pull app:1 and cancel it at this step of all its tasks; the steps taken, and whether it came to its end."""
    steps = Steps(step)
    loop = asyncio.get_running_loop()
    loop.set_task_factory(_counting)
    token = _steps.set(steps)
    try:
        steps.task = asyncio.ensure_future(s.pull())
    finally:
        _steps.reset(token)
    began = time.monotonic()
    try:
        await steps.task
    except asyncio.CancelledError:
        return steps.taken, False
    finally:
        loop.set_task_factory(None)
        assert time.monotonic() - began < 5.0
        assert all(task.done() for task in steps.children)
    return steps.taken, True


def descriptors_of(folder: Path) -> list[str]:
    """What this process has open under a folder."""
    opened = (os.path.realpath(path) for path in Path("/proc/self/fd").iterdir())
    return [target for target in opened if target.startswith(str(folder))]


async def left_clean(s: Story, folder: Path) -> None:
    """Nothing is half done: no open file, no wrong blob, no name without its content."""
    assert descriptors_of(folder) == []
    assert names_in(folder / "store" / "leases") == []
    for text in await s.blobs():
        path = folder / "store" / "blobs" / text.replace(":", "/")
        assert str(Digest.of(path.read_bytes())) == text
    if await s.tags():
        assert {SMALL.digest, SMALL.config.digest, BASE.digest, TOP.digest} <= await s.blobs()


async def cancel_everywhere(tmp_path: Path, *, first: int, stride: int) -> None:
    """Cancel a pull at every `stride`th step from `first`; each time a second pull must make it right."""
    step = first
    while True:
        folder = tmp_path / str(step)
        folder.mkdir()
        async with story(folder) as s:
            s.registry.add("app:1", SMALL)
            _, finished = await cancelled_at(s, step)
            await left_clean(s, folder)
            await s.pull()
            assert await s.tags() == {"app:1": SMALL.digest}
            assert {SMALL.digest, SMALL.config.digest, BASE.digest, TOP.digest} == await s.blobs()
        if finished:
            return
        step += stride


async def test_n31_a_pull_cancelled_at_some_await_points_leaves_nothing_half_done(tmp_path: Path) -> None:
    await cancel_everywhere(tmp_path, first=3, stride=11)


@pytest.mark.slow
async def test_n31_a_pull_cancelled_at_every_await_point_leaves_nothing_half_done(tmp_path: Path) -> None:
    await cancel_everywhere(tmp_path, first=1, stride=1)


async def test_n31_the_counter_sees_many_await_points_of_a_pull(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", SMALL)
        steps, finished = await cancelled_at(s, None)
        assert finished
        assert steps > 50


async def test_n32_when_one_of_two_pulls_is_cancelled_the_other_goes_on_from_where_it_was(tmp_path: Path) -> None:
    async with story(tmp_path, faults=[faults.stall(LARGE.digest, after=2 << 20)]) as s:
        s.registry.add("app:1", IMAGE)
        first = asyncio.create_task(s.pull())
        await _until(lambda: s.registry.journal.bytes_sent(LARGE.digest) >= 2 << 20)
        second = asyncio.create_task(s.pull())
        await asyncio.sleep(0.1)
        assert not second.done()
        first.cancel()
        report = await second
        with pytest.raises(asyncio.CancelledError):
            await first
        blob = blob_of(report, LARGE.digest)
        assert passed(blob) == {"size", "digest", "diff_id", "tarsum"}
        assert s.registry.journal.ranges(LARGE.digest) == [None, f"bytes={blob.resumed}-"]
        assert blob.resumed > 0


# --- processes that end early ----------------------------------------------------------------------------------------


async def test_ctrl_c_returns_soon_keeps_the_part_and_the_next_run_goes_on(tmp_path: Path) -> None:
    layer = images.generated_layer(8 << 20, seed=1)
    async with serve(faults=[faults.stall(layer.digest, after=6 << 20)]) as registry:
        end, took = await _interrupted(registry, layer, 6 << 20, signal.SIGINT, tmp_path)
        assert (end.code, end.out) == (130, "")
        assert "Traceback" not in end.err
        assert "kept" in end.err
        assert took < 5.0  # about 1 s on a machine that has nothing else to do
        again = await ran(*_words(registry, tmp_path), home=tmp_path)
        assert again.code == 0
        assert registry.journal.bytes_sent(layer.digest) <= layer.size + (2 << 20)
        assert registry.journal.ranges(layer.digest)[1] is not None


async def test_a_polite_kill_is_as_good_as_ctrl_c(tmp_path: Path) -> None:
    layer = images.generated_layer(8 << 20, seed=1)
    async with serve(faults=[faults.stall(layer.digest, after=6 << 20)]) as registry:
        end, took = await _interrupted(registry, layer, 6 << 20, signal.SIGTERM, tmp_path)
        assert (end.code, "Traceback" in end.err, took < 5.0) == (130, False, True)


async def test_kill_9_at_sixty_percent_costs_at_most_five_percent_again(tmp_path: Path) -> None:
    layer = images.generated_layer(64 << 20, seed=2)
    at = layer.size * 6 // 10
    async with serve(faults=[faults.stall(layer.digest, after=at)]) as registry:
        end, _ = await _interrupted(registry, layer, at, signal.SIGKILL, tmp_path)
        assert end.code == -signal.SIGKILL
        assert not list((tmp_path / "store" / "blobs").rglob(layer.digest.partition(":")[2]))
        again = await ran(*_words(registry, tmp_path), home=tmp_path)
        assert again.code == 0
        assert registry.journal.bytes_sent(layer.digest) <= layer.size * 1.05


async def _interrupted(
    registry: TestRegistry, layer: Layer, at: int, with_signal: signal.Signals, home: Path
) -> tuple[Any, float]:
    registry.add("app:1", images.image(layer, platform=("linux", _machine())))
    process = await started(*_words(registry, home), home=home)
    await _until(lambda: registry.journal.bytes_sent(layer.digest) >= at)
    await asyncio.sleep(0.3)  # for what was sent to be written: a process of its own tells no one
    began = time.monotonic()
    process.send_signal(with_signal)
    return await ended(process), time.monotonic() - began


def _words(registry: TestRegistry, home: Path) -> tuple[str, ...]:
    return ("pull", registry.name("app:1"), "--store", str(home / "store"))


async def _until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110 - a journal rings no bell
            await asyncio.sleep(0.01)


def _machine() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
