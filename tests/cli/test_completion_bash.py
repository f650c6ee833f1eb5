"""Completion in a real bash, which somebody types into: what stands in the line when it is entered."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import environment
from tests.cli.test_completion import ALPINE, APP, DEBIAN, IMAGE, fill

BASH = shutil.which("bash")
WITHIN = 20.0  # seconds for one line, on a machine that does other things, too

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BASH is None, reason="there is no bash on this machine"),
]


class Typist:
    """An interactive bash in which `puller` completes, and prints its words instead of doing anything."""

    def __init__(self, folder: Path, home: Path) -> None:
        program = folder / "bin" / "puller"
        program.parent.mkdir()
        real = f'"{sys.executable}" -m puller'
        program.write_text(
            f'#!/bin/sh\nif [ -n "$_PULLER_COMPLETE" ]; then exec {real} "$@"; fi\n'
            f'if [ "$1" = completion ]; then exec {real} "$@"; fi\n'
            'for word; do printf "<%s>" "$word"; done; echo " END"\n'
        )
        program.chmod(0o755)
        path = f"{program.parent}:{os.environ.get('PATH', os.defpath)}"
        settings = environment(home, PULLER_STORE=str(home / "store")) | {"PATH": path, "TERM": "dumb", "PS1": "$ "}
        self._master, slave = pty.openpty()
        assert BASH is not None
        self._bash = subprocess.Popen(
            [BASH, "--norc", "--noprofile", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=settings,
            cwd=folder,
            start_new_session=True,
        )
        os.close(slave)
        self._read = b""
        self._send("bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; echo READY\n")
        self._until(b"\nREADY")
        self._send('eval "$(puller completion bash)"; echo LEARNT\n')
        self._until(b"\nLEARNT")

    def entered(self, keys: str) -> str:
        """The words that `puller` is called with when these keys are typed and the line is entered."""
        self._send(keys)
        self._send("\n")
        return self._until(b" END").rpartition(b"\n")[2].decode()

    def close(self) -> None:
        """End it."""
        self._bash.kill()
        self._bash.wait()
        os.close(self._master)

    def _send(self, text: str) -> None:
        os.write(self._master, text.encode())

    def _until(self, mark: bytes) -> bytes:
        """What came up to `mark`, at the end of a line."""
        end = time.monotonic() + WITHIN
        while mark + b"\r" not in self._read:
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{mark!r} did not come: {self._read!r}"
            self._read += os.read(self._master, 65536)
        before, _, self._read = self._read.partition(mark + b"\r")
        return before


@pytest.fixture
def typist(tmp_path: Path) -> Iterator[Typist]:
    home = tmp_path / "home"
    home.mkdir()
    fill(home / "store", ALPINE, DEBIAN, APP, f"docker.io/library/alpine@{IMAGE.digest}")
    (tmp_path / "archive.tar").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    typist = Typist(tmp_path, home)
    try:
        yield typist
    finally:
        typist.close()


def test_words_are_completed_in_place_over_colons_at_signs_and_quotes(typist: Typist) -> None:
    assert typist.entered("puller id-\t") == "<id-chain>"
    assert typist.entered("puller rm deb\t") == "<rm><debian:12>"
    assert typist.entered("puller rm alpine:\t") == "<rm><alpine:3.20>"
    assert typist.entered("puller rm alpine:3\t") == "<rm><alpine:3.20>"
    assert typist.entered("puller rm 127.0.0.1:5000/t\t") == f"<rm><{APP}>"
    assert typist.entered("puller rm alpine@s\t") == f"<rm><alpine@{IMAGE.digest}>"
    assert typist.entered("puller rm alpine@sha256:\t") == f"<rm><alpine@{IMAGE.digest}>"
    assert typist.entered("puller rm 'alpine:3\t") == "<rm><alpine:3.20>"
    assert typist.entered("puller deb\t") == "<debian:12>"
    assert typist.entered("puller debian:12 127\t") == f"<debian:12><{APP}>"


def test_options_their_values_files_and_directories_are_completed(typist: Typist) -> None:
    assert typist.entered("puller pull --no-tar\t") == "<pull><--no-tarsum>"
    assert typist.entered("puller pull --driver=v\t") == "<pull><--driver=vfs>"
    assert typist.entered("puller load arch\t") == "<load><archive.tar>"
    assert typist.entered("puller changes alpine:\t fold\t") == "<changes><alpine:3.20><folder/>"
    assert typist.entered("puller pull --store fo\t") == "<pull><--store><folder/>"
    assert typist.entered("puller copy oci:fo\t") == "<copy><oci:folder/>"
    assert typist.entered("puller copy oci-archive:arch\t") == "<copy><oci-archive:archive.tar>"


def test_what_stands_behind_the_cursor_is_left_alone(typist: Typist) -> None:
    back = "\x02" * len(" --quiet")
    assert typist.entered(f"puller pull deb --quiet{back}\t") == "<pull><debian:12><--quiet>"


def test_the_command_before_a_pipe_does_not_matter(typist: Typist) -> None:
    assert typist.entered("true && A=1 puller rm deb\t") == "<rm><debian:12>"
