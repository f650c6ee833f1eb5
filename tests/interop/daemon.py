"""A real docker daemon with an image store of its own, and what tests ask of it; skipped, with the reason, without one.

Import `daemon` into a test module to use it as a fixture.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.docker import Docker, docker
from bench.ground import Unmeasurable
from bench.tool import MissingTool, require, run


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon. Registries on 127.0.0.1 are spoken to in plain HTTP."""

    docker: Docker

    def run(self, *words: str) -> str:
        """What its client printed; raises ToolFailed where it failed."""
        return run(self.docker.command(*words), env=self.docker.env)

    def load(self, archive: Path) -> str:
        """`docker load` from a pipe."""
        with archive.open("rb") as file:
            command = self.docker.command("load")
            done = subprocess.run(command, env=dict(self.docker.env), stdin=file, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def save(self, archive: Path, *names: str) -> Path:
        """`docker save` into a file."""
        self.run("save", "-o", str(archive), *names)
        return archive

    def images(self) -> dict[str, str]:
        """Image ID (`sha256:…`) by `repository:tag`, `<none>:<none>` for what has no name."""
        lines = self.run("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
        return dict(line.split(" ") for line in lines)

    def inspect(self, name: str) -> dict[str, Any]:
        """What it says of one image."""
        found: dict[str, Any] = json.loads(self.run("image", "inspect", name))[0]
        return found


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with no image in it."""
    if os.geteuid() != 0:
        pytest.skip("dockerd wants root")
    try:
        require("dockerd", "docker", "containerd", "unpigz")
        settings = {"PATH": os.environ["PATH"], "DOCKER_CONFIG": str(tmp_path / "docker-client"), "TZ": "UTC"}
        with docker(tmp_path / "docker-data", settings) as running:
            yield Daemon(running)
    except (MissingTool, Unmeasurable) as reason:
        pytest.skip(str(reason))
