"""`python -m puller` as a process of its own: a clean home, no settings of whoever runs the tests."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What a process has left behind."""

    code: int
    out: str
    err: str


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a user who has set nothing."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "COVERAGE_PROCESS_START") if name in os.environ
    }
    return {
        **kept,
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "PULLER_SETTINGS_ROOT": str(home / "root"),
        "PYTHONUTF8": "1",
        **more,
    }


async def started(*words: str, home: Path, env: Mapping[str, str] | None = None) -> Process:
    """Start it; its output is piped."""
    surroundings = environment(home) | dict(env or {})
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "puller",
        *words,
        stdout=PIPE,
        stderr=PIPE,
        stdin=asyncio.subprocess.DEVNULL,
        env=surroundings,
    )


async def ended(process: Process) -> Ended:
    """Wait for its end; a process that does not end is killed and fails the test."""
    try:
        async with asyncio.timeout(TIMEOUT):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def ran(*words: str, home: Path, env: Mapping[str, str] | None = None) -> Ended:
    """Run it to its end."""
    return await ended(await started(*words, home=home, env=env))
