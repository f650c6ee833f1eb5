"""What is due for directories, and when."""

import os
from pathlib import Path

from puller.rootfs.directories import Directories
from puller.rootfs.inside import Root
from puller.rootfs.metadata import Metadata
from puller.rootfs.powers import Powers
from puller.stream.tarentry import Entry


class Recorder(Metadata):
    """Notes the order."""

    def __init__(self) -> None:
        super().__init__(Powers())
        self.order: list[bytes] = []

    def directory(self, fd: int, entry: Entry, path: bytes) -> None:
        self.order.append(path)


def test_the_deepest_get_their_due_first(tmp_path: Path) -> None:
    (tmp_path / "b/c").mkdir(parents=True)
    (tmp_path / "a").mkdir()
    directories = Directories(10)
    for path in (b"", b"b", b"b/c", b"a"):
        directories.implied(path)
    recorder = Recorder()
    fd = os.open(tmp_path, os.O_RDONLY)
    with Root(fd) as root:
        directories.settle(root, recorder)
    os.close(fd)
    assert [recorder.order[0], recorder.order[-1]] == [b"b/c", b""]


def test_a_dropped_directory_has_nothing_due() -> None:
    directories = Directories(10)
    directories.implied(b"a")
    directories.dropped(b"a")
    assert b"a" not in directories
    assert directories.without_entry == ()
