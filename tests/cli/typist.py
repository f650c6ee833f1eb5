"""Typing: an interactive shell that somebody types into, and what stands in the line when it is entered."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.program import environment
from tests.cli.test_completion import fill

WITHIN = 20.0  # seconds for one line, on a machine that does other things, too
LEARN = {
    "bash": "bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; eval \"$(puller completion bash)\"",
    "zsh": 'autoload -U compinit; compinit -u -D; eval "$(puller completion zsh)"',
    "fish": "puller completion fish | source",
}
# Fish wants a terminal of its own (TIOCSCTTY).
SEATED = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
PLAIN = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}


class Typist:
    """An interactive shell in which `puller` completes, and prints its words instead of doing anything."""

    def __init__(self, shell: str, folder: Path, home: Path) -> None:
        program = folder / "bin" / "puller"
        program.parent.mkdir()
        real = f'exec "{sys.executable}" -m puller "$@"'
        program.write_text(
            f'#!/bin/sh\nif [ -n "$_PULLER_COMPLETE" ] || [ "$1" = completion ]; then {real}; fi\n'
            'for word; do printf "<%s>" "$word"; done; echo " END"\n'
        )
        program.chmod(0o755)
        path = f"{program.parent}:{os.environ.get('PATH', os.defpath)}"
        settings = environment(home, PULLER_STORE=str(home / "store")) | {
            "PATH": path,
            "TERM": "dumb" if shell == "bash" else "xterm",
            "HOME": str(home),
            "PS1": "$ ",
        }
        self._master, slave = pty.openpty()
        self._shell = subprocess.Popen(
            [sys.executable, "-c", SEATED, *PLAIN[shell]],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=settings,
            cwd=folder,
            start_new_session=True,
        )
        os.close(slave)
        self._read = b""
        self._send(f"{LEARN[shell]}; echo LEA''RNT\n")
        self._until(rb"LEARNT\r")

    def entered(self, keys: str) -> str:
        """The words that `puller` is called with when these keys are typed and the line is entered."""
        self._send(keys)
        self._send("\n")
        return self._until(rb"((?:<[^<>\r\n]*>)+) END")

    def close(self) -> None:
        """End it."""
        self._shell.kill()
        self._shell.wait()
        os.close(self._master)

    def _send(self, text: str) -> None:
        os.write(self._master, text.encode())

    def _until(self, mark: bytes) -> str:
        """What comes and matches `mark`, or the first group of it."""
        end = time.monotonic() + WITHIN
        while (found := re.search(mark, self._read)) is None:
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{mark!r} did not come: {self._read!r}"
            self._read += os.read(self._master, 65536)
        self._read = self._read[found.end() :]
        return found[found.re.groups].decode()


@contextmanager
def typing_into(shell: str, folder: Path, *names: str) -> Iterator[Typist]:
    """One in `folder`, beside `archive.tar` and `folder/inner`, over a store with `names`; skips without the shell."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine")
    home = folder / "home"
    home.mkdir()
    fill(home / "store", *names)
    (folder / "archive.tar").write_bytes(b"")
    (folder / "folder" / "inner").mkdir(parents=True)
    typist = Typist(shell, folder, home)
    try:
        yield typist
    finally:
        typist.close()
