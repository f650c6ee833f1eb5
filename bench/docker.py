"""Debian's docker daemon over a data directory of its own, started and stopped as a context; no networks, no rules."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cache import remove
from bench.contestant import Command, Contestant, Task
from bench.ground import Unmeasurable
from bench.measure import Usage
from bench.meter import Meter
from bench.tool import end, require, run

# Debian's own by preference: what else is on the path may be of any version.
DAEMON, CLIENT = "/usr/sbin/dockerd", "/usr/bin/docker"
# Its own settings stay out of ours, and so do its habits of setting up networks, firewalls and forwarding.
ALOOF = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--storage-driver=overlay2"]
START_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Docker:
    """A running daemon and its client; as a contestant's daemon it forgets all images before each run."""

    socket: Path
    env: Mapping[str, str]
    meter: Meter

    def command(self, *words: str) -> Command:
        """A command of its client."""
        return [CLIENT if Path(CLIENT).exists() else "docker", "-H", f"unix://{self.socket}", *words]

    def begin(self) -> None:
        """Remove every image, and with it every layer: the next pull finds an empty store."""
        if images := run(self.command("images", "--all", "--quiet", "--no-trunc"), env=self.env).split():
            run(self.command("rmi", "--force", *dict.fromkeys(images)), env=self.env)
        self.meter.reset()

    def added(self, usage: Usage) -> Usage:
        """What the client used, and what the daemon used since `begin`."""
        return self.meter.added(usage)


def docker_pull(task: Task, docker: Docker) -> Contestant:
    """Fetch and unpack into the daemon's overlay2, which makes a mountable chain of layers as `puller pull` does."""
    return Contestant("docker pull", lambda _: docker.command("pull", "--quiet", task.reference), docker)


@contextmanager
def docker(data: Path, env: Mapping[str, str]) -> Iterator[Docker]:
    """Run a daemon over `data`, which is removed afterwards; raises MissingTool or Unmeasurable with the log's end.

    unpigz is asked for because the daemon inflates with it where it is there, and slower where it is not.
    """
    require("dockerd", "docker", "containerd", "unpigz")
    if os.geteuid() != 0:
        raise Unmeasurable("dockerd wants root")
    # Not below `data`: the path of a socket has room for about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="bench-docker-") as name:
        state = Path(name)
        process = _started(data, state, env)
        try:
            _wait_until_it_listens(process, state)
            yield Docker(state / "socket", env, Meter(process.pid))
        finally:
            end(process, within=30)
            remove(state / "run")
            remove(data)


def _started(data: Path, state: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    settings = state / "daemon.json"
    settings.write_text('{"deprecated-key-path": "%s"}' % (state / "key.json"))
    places = [f"--config-file={settings}", f"--data-root={data}", f"--exec-root={state / 'run'}"]
    places += [f"--pidfile={state / 'pid'}", f"--host=unix://{state / 'socket'}"]
    daemon = DAEMON if Path(DAEMON).exists() else "dockerd"
    with (state / "log").open("wb") as log:
        return subprocess.Popen([daemon, *ALOOF, *places], env=dict(env), stdout=log, stderr=log)


def _wait_until_it_listens(process: subprocess.Popen[bytes], state: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(state / "socket")) == 0:
                return
        time.sleep(0.05)
    words = (state / "log").read_text(errors="replace").strip().splitlines()
    raise Unmeasurable(f"dockerd did not start: {words[-1] if words else 'it said nothing'}")
