"""What the figures were taken on: processor, cores, system, and the versions that decide them."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

from bench.tool import found, run

DISTRIBUTIONS = ("aiohttp", "anyio", "isal", "backports.zstd")


def machine() -> list[str]:
    """A few lines for the head of a report; nothing in them names the machine itself."""
    return [
        *interpreter(),
        f"{run(['skopeo', '--version']).strip()}, {_registry_version()}, {run(['curl', '--version']).split(' (')[0]}",
        *filter(None, [unpackers()]),
    ]


def interpreter() -> list[str]:
    """The lines of it that need no program of others."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in DISTRIBUTIONS if _installed(name))
    return [
        f"{_processor()}, {cores} of {os.cpu_count()} cores, {memory / 2**30:.0f} GiB, Linux {_kernel()}",
        f"Python {platform.python_version()}, {packages}",
    ]


def unpackers() -> str:
    """Versions of the programs that unpack, of those that are installed; one line, perhaps empty."""
    commands = (["umoci", "--version"], ["tar", "--version"], ["bsdtar", "--version"], ["dockerd", "--version"])
    lines = (run(command).splitlines()[0] for command in commands if found(command[0]))
    return ", ".join(re.split(r",| - ", line)[0] for line in lines)


def _installed(name: str) -> bool:
    return any(True for _ in importlib.metadata.distributions(name=name))


def _processor() -> str:
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return model[1] if model else platform.machine()


def _registry_version() -> str:
    return f"docker-registry {run(['docker-registry', '--version']).split()[-1]}"


def _kernel() -> str:
    # Only the version: what follows it is a builder's private word.
    return ".".join(platform.release().split(".")[:2])
