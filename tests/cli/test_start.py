"""What is loaded before the first request: what a run does not need must not keep it waiting."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testregistry.certificates import Authority
from tests.cli.conftest import Puller
from tests.cli.mirrored import Mirrored, image, mirrored
from tests.cli.program import environment

# Runs a command line, then prints which modules it has loaded, and how many authorities each context of TLS trusts.
SCRIPT = """
import gc, json, os, ssl, sys
from puller.cli.main import run
assert run(sys.argv[1:]) == 0
trusted = [c.cert_store_stats()["x509_ca"] for c in gc.get_objects() if isinstance(c, ssl.SSLContext)]
print(json.dumps([sorted(sys.modules), trusted, os.environ["SSL_CERT_FILE"]]))
"""
# What a row names stands for all below it.
ELSEWHERE = (
    *("puller.archive", "puller.graph", "puller.legacy", "puller.ops.graphs.graph", "puller.web"),
    *("puller.cli.debugging", "puller.mirror.schedule", "puller.model.exchange", "puller.registry.ping"),
    *("puller.registry.pinging", "puller.registry.transport.trace"),
    *("cronsim", "cryptography", "difflib", "distributed", "rich", "zoneinfo"),
)
ON_DISK = ("puller.ops.unpacking", "puller.rootfs", "puller.store", "puller.stream.inflate", "puller.stream.tarsum")
OF_OTHER_SYNCS = (
    *(
        "puller.cli.crew",
        "puller.cli.planning",
        "puller.cli.scheduling",
        "puller.mirror.lockfile",
        "puller.mirror.plan",
    ),
    *(
        "puller.mirror.regsync",
        "puller.mirror.skopeofile",
        "puller.ops.syncing.applying",
        "puller.ops.syncing.forecast",
    ),
)
OF_NEWS = ("puller.model.copy", "puller.model.push", "puller.ops.copying.image", "puller.ops.pulling.plan")


@pytest.fixture
def world(puller: Puller, tmp_path: Path) -> Iterator[Mirrored]:
    """One tag, brought."""
    with mirrored(puller, tmp_path, "registry") as made:
        made.up.add("app:1.0", image("app 1"))
        made.write("app")
        assert made.sync().code == 0
        yield made


class Loaded:
    """What a run in a process of its own has loaded."""

    def __init__(self, world: Mirrored, *words: str) -> None:
        Authority(world.folder)
        self.file = str(world.folder / "ca.pem")
        env = environment(world.folder / "home", SSL_CERT_FILE=self.file)
        command = [sys.executable, "-c", SCRIPT, *words]
        end = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        modules, self.trusted, self.told = json.loads(end.stdout.splitlines()[-1])
        self.modules = frozenset(modules)

    def of(self, rooms: tuple[str, ...]) -> list[str]:
        """The modules of `rooms` that are among them."""
        return sorted(name for name in self.modules for room in rooms if name == room or name.startswith(f"{room}."))


def test_a_sync_that_finds_nothing_new_loads_no_room_that_it_does_not_enter(world: Mirrored) -> None:
    loaded = Loaded(world, "sync", str(world.file), "--quiet")
    assert "puller.ops.syncing.walk" in loaded.modules
    assert loaded.of((*ELSEWHERE, *ON_DISK, *OF_OTHER_SYNCS, *OF_NEWS)) == []


def test_neither_does_one_that_brings_something(world: Mirrored) -> None:
    world.up.add("app:2.0", image("app 2"))
    loaded = Loaded(world, "sync", str(world.file), "--quiet")
    assert "puller.ops.copying.image" in loaded.modules
    assert loaded.of((*ELSEWHERE, *ON_DISK, *OF_OTHER_SYNCS)) == []


def test_nor_a_copy_between_registries(world: Mirrored) -> None:
    loaded = Loaded(world, "copy", world.up.name("app:1.0"), world.down.name("other:1.0"), "--quiet")
    assert "puller.ops.copying.image" in loaded.modules
    assert loaded.of((*ELSEWHERE, *ON_DISK, "puller.mirror.plan", "puller.ops.syncing")) == []


def test_nor_a_pull(world: Mirrored) -> None:
    loaded = Loaded(world, "pull", world.up.name("app:1.0"), "--no-unpack", "--quiet")
    assert "puller.store.disk" in loaded.modules
    assert loaded.of((*ELSEWHERE, "puller.ops.copying", "puller.ops.syncing", "yaml")) == []


@pytest.mark.parametrize("verb", ["pull", "sync"])
def test_whoever_speaks_plain_http_reads_none_of_the_systems_authorities(world: Mirrored, verb: str) -> None:
    loaded = Loaded(world, verb, world.up.name("app:1.0") if verb == "pull" else str(world.file), "--quiet")
    assert "aiohttp" in loaded.modules
    assert set(loaded.trusted) <= {0}
    assert loaded.told == loaded.file
