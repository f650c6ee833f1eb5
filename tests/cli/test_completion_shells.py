"""Completion in a real zsh and a real fish, which somebody types into: what stands in the line when it is entered."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import environment
from tests.cli.test_completion import ALPINE, APP, fill

WITHIN = 20.0  # seconds for one line, on a machine that does other things, too
LEARN = {
    "zsh": 'autoload -U compinit; compinit -u -D; eval "$(puller completion zsh)"',
    "fish": "puller completion fish | source",
}
# Fish wants a terminal of its own (TIOCSCTTY).
SEATED = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
PLAIN = {"zsh": ["zsh", "-f", "-i"], "fish": ["fish", "--no-config", "-i"]}

pytestmark = pytest.mark.slow


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
            "TERM": "xterm",
            "HOME": str(home),
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


@pytest.fixture(params=["zsh", "fish"])
def typist(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Typist]:
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param} on this machine")
    home = tmp_path / "home"
    home.mkdir()
    fill(home / "store", ALPINE, APP)
    (tmp_path / "archive.tar").write_bytes(b"")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    typist = Typist(request.param, tmp_path, home)
    try:
        yield typist
    finally:
        typist.close()


def entered(typist: Typist, keys: str) -> str:
    """The same without the slash at the end of a directory, which zsh takes away."""
    return typist.entered(keys).replace("/>", ">")


def test_words_and_options_are_completed(typist: Typist) -> None:
    assert entered(typist, "puller id-\t") == "<id-chain>"
    assert entered(typist, "puller rm alp\t") == "<rm><alpine:3.20>"
    assert entered(typist, "puller rm alpine:3\t") == "<rm><alpine:3.20>"
    assert entered(typist, "puller pull --driver=v\t") == "<pull><--driver=vfs>"
    assert entered(typist, "puller copy store:al\t") == "<copy><store:alpine:3.20>"


def test_paths_are_completed_behind_the_word_for_their_kind_and_behind_options(typist: Typist) -> None:
    assert entered(typist, "puller copy oci:fol\t") == "<copy><oci:folder>"
    assert entered(typist, "puller copy oci:folder/in\t") == "<copy><oci:folder/inner>"
    assert entered(typist, "puller copy a oci-archive:arch\t") == "<copy><a><oci-archive:archive.tar>"
    assert entered(typist, "puller copy a docker-archive:arch\t") == "<copy><a><docker-archive:archive.tar>"
    assert entered(typist, "puller pull --store=fol\t") == "<pull><--store=folder>"
    assert entered(typist, "puller pull --store fol\t") == "<pull><--store><folder>"
    assert entered(typist, "puller load arch\t") == "<load><archive.tar>"
