"""Debian's docker daemon as a context: it starts without touching the system, forgets, and goes."""

import os
import shutil
from pathlib import Path

import pytest

from bench.docker import docker
from bench.ground import Unmeasurable
from bench.measure import measured
from bench.tool import MissingTool, require, run

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="dockerd wants root")]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Nobody's settings; skips where a program is missing."""
    try:
        require("dockerd", "docker", "containerd", "unpigz")
    except MissingTool as reason:
        pytest.skip(str(reason))
    return {"PATH": os.environ["PATH"], "DOCKER_CONFIG": str(tmp_path)}


def test_what_was_brought_in_is_forgotten_before_a_run_and_nothing_stays_afterwards(
    tmp_path: Path, env: dict[str, str]
) -> None:
    data, archive = tmp_path / "data", tmp_path / "tree.tar"
    (tmp_path / "file").write_text("content")
    shutil.make_archive(str(archive.with_suffix("")), "tar", tmp_path, "file")
    try:
        with docker(data, env) as daemon:
            for name in ("one:1", "two:1"):
                measured(daemon.command("import", str(archive), name), env=env)
            assert run(daemon.command("images", "--quiet"), env=env) != ""
            daemon.begin()
            assert run(daemon.command("images", "--all", "--quiet"), env=env) == ""
            assert daemon.added(measured(daemon.command("version"), env=env)).peak > 20_000_000
    except Unmeasurable as reason:
        pytest.skip(str(reason))
    assert not data.exists()
    assert f"{data}/" not in Path("/proc/self/mounts").read_text()


def test_a_daemon_that_cannot_start_is_a_reason_in_its_own_words(env: dict[str, str]) -> None:
    with pytest.raises(Unmeasurable, match=r"^dockerd did not start: .*/proc/nowhere"):
        with docker(Path("/proc/nowhere"), env):
            pass
