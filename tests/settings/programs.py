"""Fake credential helpers: shell scripts on a PATH of their own, which keep a journal of what they were asked."""

import os
from dataclasses import dataclass
from pathlib import Path

import anyio

from puller.settings.helper import Helpers

_SCRIPT = """#!/bin/sh
server=$(cat)
printf '%s %s\\n' "$1" "$server" >>'{journal}'
{body}
"""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A directory of helpers."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """What leads to them, and to the tools that they use."""
        return {"PATH": f"{self.folder}:{os.defpath}"}

    def helpers(self, timeout: float = 20.0) -> Helpers:
        return Helpers(self.environ, timeout=timeout)

    def add(self, name: str, body: str) -> None:
        """A helper that runs `body`: `$1` is the verb, `$server` what was on stdin."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"docker-credential-{name}"
        path.write_text(_SCRIPT.format(journal=self.folder / f"{name}.journal", body=body))
        path.chmod(0o755)

    def keeping(self, name: str) -> Path:
        """A helper that keeps what it is told, as docker-credential-pass does; the folder that it keeps it in."""
        kept = self.folder / f"{name}.kept"
        kept.mkdir(parents=True)
        self.add(
            name,
            f"""cd '{kept}'
case $1 in
store) printf '%s' "$server" >"$(printf '%s' "$server" | sed 's/.*"ServerURL": *"\\([^"]*\\)".*/\\1/' | tr / _)" ;;
get|erase)
    file=$(printf '%s' "$server" | tr / _)
    [ -e "$file" ] || {{ echo 'credentials not found in native keychain'; exit 1; }}
    if [ $1 = get ]; then cat "$file"; else rm "$file"; fi ;;
esac""",
        )
        return kept

    def asked(self, name: str) -> list[str]:
        """Verb and server of every run."""
        journal = self.folder / f"{name}.journal"
        return journal.read_text().splitlines() if journal.exists() else []


def answering(username: str, secret: str, more: str = "") -> str:
    """The body of a helper that knows one secret, whatever it is asked for."""
    return f"""printf '{{"Username": "{username}", "Secret": "{secret}"{more}}}'"""


def lives(pid: int) -> bool:
    """Whether a process runs still; one that is dead and not fetched yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


async def gone(pid: int) -> bool:
    """A kill takes its time to arrive."""
    for _ in range(200):
        if not lives(pid):
            return True
        await anyio.sleep(0.01)
    return False


def number_in(path: Path) -> int:
    """The number in a file; 0 as long as it is not there."""
    text = path.read_text() if path.exists() else ""
    return int(text) if text.endswith("\n") else 0


async def written(path: Path) -> int:
    """The number in a file, once it is there."""
    for _ in range(1000):
        if number := number_in(path):
            return number
        await anyio.sleep(0.01)
    raise AssertionError("nothing was written")
