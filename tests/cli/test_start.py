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
# Of all that a run may need: what a row names stands for all below it.
BETWEEN_REGISTRIES = (
    *("puller.archive", "puller.graph", "puller.legacy", "puller.rootfs", "puller.store", "puller.web"),
    *("puller.cli.crew", "puller.cli.debugging", "puller.cli.planning", "puller.cli.scheduling"),
    *("puller.mirror.lockfile", "puller.mirror.plan", "puller.mirror.regsync", "puller.mirror.schedule"),
    *("puller.mirror.skopeofile", "puller.model.copy", "puller.model.exchange", "puller.model.push"),
    *("puller.ops.copying.image", "puller.ops.graphs.graph", "puller.ops.pulling.gate", "puller.ops.pulling.plan"),
    *("puller.ops.syncing.applying", "puller.ops.syncing.forecast", "puller.ops.unpacking"),
    *("puller.registry.ping", "puller.registry.pinging", "puller.registry.transport.trace"),
    *("puller.stream.inflate", "puller.stream.tarsum"),
    *("cronsim", "cryptography", "difflib", "distributed", "rich", "zoneinfo"),
)


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
    assert loaded.of(BETWEEN_REGISTRIES) == []


def test_whoever_speaks_plain_http_reads_none_of_the_systems_authorities(world: Mirrored) -> None:
    loaded = Loaded(world, "sync", str(world.file), "--quiet")
    assert "aiohttp" in loaded.modules
    assert set(loaded.trusted) <= {0}
    assert loaded.told == loaded.file
