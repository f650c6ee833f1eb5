"""The programs of the system that building and measuring lean on: found, run, and named when they are missing."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class MissingTool(Exception):
    """A program is not installed (or may not be used by this user), so the part that needs it cannot be made."""

    def __init__(self, tool: str, reason: str) -> None:
        super().__init__(f"{tool}: {reason}")
        self.tool = tool


class ToolFailed(Exception):
    """A program ran and failed; the message carries the last lines it wrote."""

    def __init__(self, command: Sequence[str], status: int, output: str) -> None:
        tail = "\n  ".join(output.strip().splitlines()[-12:])
        super().__init__(f"{command[0]} ended with status {status}: {' '.join(command)}\n  {tail}")
        self.status = status
        self.output = output


class FetchFailed(ToolFailed):
    """A program that fetches from the network failed: perhaps there is none."""


# Where Debian keeps each program, so that the message says what to install.
PACKAGES = {
    "apt-get": "apt",
    "bsdtar": "libarchive-tools",
    "dockerd": "docker.io",
    "docker-registry": "docker-registry",
    "dpkg-deb": "dpkg",
    "igzip": "isal",
    "npm": "npm",
    "htpasswd": "apache2-utils",
    "unpigz": "pigz",
}


def found(name: str) -> bool:
    """Whether the program is on the path, or where Debian keeps what only root runs."""
    return shutil.which(name) is not None or Path("/usr/sbin", name).exists()


def require(*names: str) -> None:
    """Raise MissingTool for the first program that is not found."""
    for name in names:
        if not found(name):
            raise MissingTool(name, f"not installed (Debian package {PACKAGES.get(name, name)})")


def run(command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return what it wrote; raises MissingTool or ToolFailed."""
    require(command[0])
    done = subprocess.run(
        command, cwd=cwd, env=env, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        raise ToolFailed(command, done.returncode, done.stdout)
    return done.stdout


def fetch(command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """`run` for programs that need the network: raises FetchFailed, so that callers can do without it."""
    try:
        return run(command, cwd=cwd, env=env)
    except ToolFailed as failure:
        raise FetchFailed(command, failure.status, failure.output) from None


def end(process: subprocess.Popen[bytes], *, within: float) -> None:
    """End a program that runs on: it is asked to, and killed where it is still there after `within` seconds."""
    process.terminate()
    try:
        process.wait(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
