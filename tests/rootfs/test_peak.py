"""How much memory a job takes, by what the kernel counts of its process; `make torture` unpacks the whole gigabytes."""

import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.rootfs.crew import Crew
from puller.rootfs.manner import Manner
from tests.rootfs.jobs import job, look
from tests.rootfs.layering import SMALL, file, layer
from tests.stream.archive import END

pytestmark = pytest.mark.slow
whole = [pytest.mark.torture, pytest.mark.timeout(600)]

MOST = 100 << 10  # KiB
_PEAK = re.compile(r"^VmHWM:\s+([0-9]+) kB$", re.MULTILINE)


def peak_of_unpacking(base: Path, blob: bytes) -> int:
    """The most resident memory of the process that unpacks `blob`, in KiB, and what it shares with its parent."""
    peaks = [0]

    def weigh(process: Path) -> None:
        found = _PEAK.search((process / "status").read_text())
        peaks.extend([int(found[1])] if found else [])

    with Crew(Manner(limits=SMALL)) as crew, job(base, blob, alone=True) as found:
        crew.unpack(found, lambda _: look(weigh))
    assert len(peaks) > 5
    return max(peaks)


def small_files(folders: int, files: int) -> Iterator[bytes]:
    """Archives without end marks: one with `files` empty files for each folder; names are counted up in place."""
    block = file("d0000/f0000")
    checksum = int(block[148:154], 8)
    for folder in range(folders):
        made = io.BytesIO()
        for number in range(files):
            digits = b"d%04d/f%04d" % (folder, number)
            total = checksum + sum(digits) - sum(b"d0000/f0000")
            made.write(digits + block[11:148] + b"%06o" % total + block[154:])
        yield made.getvalue()


@pytest.mark.parametrize("gigabytes", [1, pytest.param(4, marks=whole)])
def test_r10_a_layer_of_gigabytes_takes_no_more_memory_than_any_other(gigabytes: int, scratch: Path) -> None:
    # The same file again and again: it goes through the disk, and takes no room there.
    members = gzip.compress(layer(file("f", "\0" * (32 << 20)))[: -len(END)], 1) * 32 * gigabytes
    assert peak_of_unpacking(scratch, members + gzip.compress(END)) < MOST


@pytest.mark.parametrize("folders", [50, pytest.param(500, marks=whole)])
def test_r10_a_layer_of_a_million_files_takes_no_more_memory_than_any_other(folders: int, scratch: Path) -> None:
    blob = b"".join(gzip.compress(archive, 1) for archive in small_files(folders, 2000)) + gzip.compress(END)
    assert peak_of_unpacking(scratch, blob) < MOST
    assert sum(1 for _ in (scratch / f"d{folders - 1:04}").iterdir()) == 2000
