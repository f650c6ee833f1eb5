"""`puller sync --cluster`: real processes of dask, one of them killed, and registries that count."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import anyio
import pytest

from puller.contracts.images import Claims
from puller.errors import InvalidConfig, PullerError, Unavailable
from puller.model.mediatype import OCI_MANIFEST
from puller.model.sync import Carried, Transfer
from puller.ops.copying.claims import LocalClaims
from puller.ops.syncing.carrier import Carrier
from puller.ops.syncing.cluster import cluster
from puller.ops.syncing.sharing import Scheduler
from testregistry import TestRegistry
from testregistry.faults import flip, pace
from testregistry.images import Image, generated_layer, image
from tests.cli.conftest import Puller
from tests.cli.program import environment
from tests.cli.serving import serving

pytestmark = pytest.mark.slow
REPOSITORIES = 10
TAGS = 20
THREADS = 3


class Dask:
    """A scheduler and its workers, each a process of its own as dask's own commands start them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.port = _free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        _wait_for(self.port)

    def work(self, count: int) -> None:
        """Start so many workers."""
        for _ in range(count):
            words = ("--nthreads", str(THREADS), "--no-nanny", "--no-dashboard", "--local-directory", str(self._home))
            self.workers.append(self._start("worker", self.address, *words))

    def stop(self) -> None:
        """End all of it."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _start(self, *words: str) -> "subprocess.Popen[bytes]":
        surroundings = environment(self._home, DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_TIMEOUT="2s")
        log = (self._home / f"{words[0]}-{len(self.workers)}.log").open("wb")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *words],
                env=surroundings,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)  # a process of others, which says nothing when it is ready
        else:
            return


@contextmanager
def dask(home: Path) -> Iterator[Dask]:
    cluster = Dask(home)
    try:
        yield cluster
    finally:
        cluster.stop()


def filled(registry: TestRegistry) -> dict[str, Image]:
    """200 images in ten repositories on three bases, each with a layer of its own."""
    bases = [generated_layer(300_000, seed) for seed in range(3)]
    made = {}
    for repository in range(REPOSITORIES):
        for tag in range(TAGS):
            number = repository * TAGS + tag
            own = generated_layer(100_000, 1000 + number)
            made[f"team/app{repository}:{tag}"] = image(bases[number % 3], own)
    for name, one in made.items():
        registry.add(name, one)
    return made


def configuration(source: TestRegistry, to: str, folder: Path) -> Path:
    file = folder / "mirrors.yaml"
    file.write_text(f"puller: 1\njobs: 8\nmirrors:\n  - from: {source.host}/team/*\n    to: {to}\n")
    return file


def fetched(source: TestRegistry, made: dict[str, Image]) -> dict[str, int]:
    """How often each blob was asked for."""
    layers = {one.digest for made_image in made.values() for one in made_image.layers}
    configs = {made_image.config.digest for made_image in made.values()}
    return {digest: source.journal.gets(digest) for digest in layers | configs}


@contextmanager
def killing(process: "subprocess.Popen[bytes]", *, once: Callable[[], bool]) -> Iterator[None]:
    """Kill it in the middle of the block."""

    def kill() -> None:
        until = time.monotonic() + 60
        while not once():
            assert time.monotonic() < until
            time.sleep(0.01)  # the registries run on their own
        os.kill(process.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    yield
    killer.join()


def test_a_killed_worker_costs_its_transfers_and_nothing_else(puller: Puller, home: Path, tmp_path: Path) -> None:
    with serving() as source, serving() as target, dask(home) as crew:
        made = filled(source)
        source.faults.append(pace(kind="blob", rate=400_000, times=None))
        crew.work(3)
        file = configuration(source, f"{target.host}/copy/*", tmp_path)

        report = tmp_path / "report.json"
        with killing(crew.workers[0], once=lambda: target.journal.count("PUT", "manifest") >= 40):
            ended = puller("sync", str(file), "--cluster", crew.address, "--report", str(report))

        assert ended.code == 0, ended.err
        assert crew.workers[0].wait() == -signal.SIGKILL
        for name, one in made.items():
            repository, _, tag = name.removeprefix("team/").partition(":")
            kept = target.storage.manifest(f"copy/{repository}", tag)
            assert kept is not None
            assert kept[0].digest == one.digest
        told = json.loads(report.read_text())
        assert told["well"]
        assert told["counts"] == {"new": REPOSITORIES * TAGS}
        counts = fetched(source, made)
        again = [digest for digest, count in counts.items() if count > 1]
        assert all(counts.values())
        assert len(again) <= 2 * THREADS  # what one worker had in its hands: a layer and a config for each thread
        assert all(counts[digest] == 2 for digest in again)


def test_three_workers_fetch_each_blob_once(puller: Puller, home: Path, tmp_path: Path) -> None:
    with serving() as source, serving() as target, dask(home) as crew:
        made = filled(source)
        crew.work(3)
        file = configuration(source, f"{target.host}/copy/*", tmp_path)

        ended = puller("sync", str(file), "--cluster", crew.address)

        assert ended.code == 0, ended.err
        assert set(fetched(source, made).values()) == {1}


def test_a_scheduler_that_is_lost_ends_the_run_and_the_next_one_brings_the_rest(
    puller: Puller, home: Path, tmp_path: Path
) -> None:
    with serving() as source, serving() as target:
        made = filled(source)
        source.faults.append(pace(kind="blob", rate=400_000, times=None))
        file = configuration(source, f"{target.host}/copy/*", tmp_path)
        with dask(home) as crew:
            crew.work(2)
            with killing(crew.scheduler, once=lambda: target.journal.count("PUT", "manifest") >= 20):
                ended = puller("sync", str(file), "--cluster", crew.address)
        assert ended.code == 1
        assert "the cluster was lost" in ended.err
        assert "Traceback" not in ended.err
        source.faults.clear()
        assert puller("sync", str(file)).code == 0
        kept = [target.storage.find(f"copy/app{number}") for number in range(REPOSITORIES)]
        assert sum(len(one.tags) for one in kept if one is not None) == len(made)


def test_directories_of_this_machine_are_seen_to_by_this_process(puller: Puller, home: Path, tmp_path: Path) -> None:
    with serving() as source, dask(home) as crew:
        source.add("team/app:1", image(generated_layer(1000)))
        crew.work(1)
        file = configuration(source, f"oci:{tmp_path / 'kept'}", tmp_path)

        ended = puller("sync", str(file), "--cluster", crew.address)

        assert ended.code == 0, ended.err
        assert json.loads((tmp_path / "kept" / "app" / "index.json").read_text())["manifests"]


def test_an_image_that_fails_on_a_worker_stops_no_other(puller: Puller, home: Path, tmp_path: Path) -> None:
    with serving() as source, serving() as target, dask(home) as crew:
        source.add("team/app:good", image(generated_layer(1000, 1)))
        bad = image(generated_layer(1000, 2))
        source.add("team/app:bad", bad)
        source.faults.append(flip(bad.layers[0].digest, times=None))
        crew.work(1)
        file = configuration(source, f"{target.host}/copy/*", tmp_path)

        ended = puller("sync", str(file), "--cluster", crew.address)

        assert ended.code == 3
        assert "DigestMismatch" in ended.err
        assert target.storage.manifest("copy/app", "good") is not None
        assert target.storage.manifest("copy/app", "bad") is None


async def test_a_cluster_without_workers_is_told(tmp_path: Path) -> None:
    with dask(tmp_path) as there, pytest.raises(Unavailable, match="no workers") as caught:
        async with cluster(there.address, "r", never, here=nobody, local=LocalClaims(), patience=0.2):
            pass
    assert there.address in caught.value.hint


@pytest.mark.parametrize("fault", [OSError("no such device"), InvalidConfig("no such file"), ValueError("odd")])
async def test_workers_that_cannot_open_what_they_need_say_so(tmp_path: Path, fault: Exception) -> None:
    def broken(scheduler: Scheduler, run: str) -> AbstractAsyncContextManager[Carrier]:
        raise fault

    transfer = Transfer("a.test/app", f"sha256:{64 * '0'}", OCI_MANIFEST, 1, "b.test/app", "1")
    with dask(tmp_path) as there:
        there.work(1)
        async with cluster(there.address, "r", broken, here=Idle, local=LocalClaims()) as carrier:
            for _ in range(2):
                with anyio.fail_after(30), pytest.raises(PullerError, match=str(fault)):
                    await carrier.carry(transfer)


class Idle:
    """A Carrier to whom nothing comes."""

    def __init__(self, claims: Claims) -> None:
        self.claims = claims

    async def carry(self, transfer: Transfer) -> Carried:
        raise AssertionError("nothing is brought here")


def never(scheduler: Scheduler, run: str) -> AbstractAsyncContextManager[Carrier]:
    raise AssertionError("nothing is opened where nobody works")


def nobody(claims: Claims) -> Carrier:
    raise AssertionError("nothing is brought here either")


def test_a_word_that_is_no_address_is_told(puller: Puller, tmp_path: Path) -> None:
    with serving() as source:
        file = configuration(source, f"{source.host}/copy/*", tmp_path)

        ended = puller("sync", str(file), "--cluster", "nonsense://there")

        assert ended.code == 2
        assert "tcp://" in ended.err
