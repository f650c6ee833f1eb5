"""Sparse files of GNU tar in the sane dialect: refused unless asked for, then told as data and holes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from puller.errors import InvalidArchive, LayerError, LimitExceeded, PullerError, TruncatedArchive, Unsupported
from puller.stream.sane import Sane
from puller.stream.sanesparse import MAX_FRAGMENTS
from tests.stream.archive import END, POSIX, header, member, octal, padded, pax, sparse_header
from tests.stream.listing import Listing, listing
from tests.stream.pieces import CUTS, Cut, random_cuts

SPARSE = Sane(sparse=True)
PIECES = [(0, 3), (1000, 2), (2000, 0)]
CONTENT = b"abc" + bytes(997) + b"de" + bytes(998)


def old_gnu() -> bytes:
    return sparse_header(PIECES, 2000, stored=5) + padded(b"abcde") + END


def pax_0_0() -> bytes:
    places = [
        pair
        for offset, size in PIECES
        for pair in ((b"GNU.sparse.offset", b"%d" % offset), (b"GNU.sparse.numbytes", b"%d" % size))
    ]
    records = ((b"GNU.sparse.size", b"2000"), (b"GNU.sparse.numblocks", b"3"), *places)
    return pax(*records) + member(b"sparse", b"abcde") + END


def pax_0_1() -> bytes:
    records = (
        (b"GNU.sparse.size", b"2000"), (b"GNU.sparse.numblocks", b"3"), (b"GNU.sparse.name", b"sparse"),
        (b"GNU.sparse.map", b"0,3,1000,2,2000,0"),
    )  # fmt: skip
    return pax(*records) + member(b"GNUSparseFile.1/sparse", b"abcde") + END


def pax_1_0(lines: bytes = b"3\n0\n3\n1000\n2\n2000\n0\n") -> bytes:
    records = (
        (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"sparse"),
        (b"GNU.sparse.realsize", b"2000"),
    )  # fmt: skip
    return pax(*records) + member(b"GNUSparseFile.1/sparse", padded(lines) + b"abcde") + END


FORMATS = {"old": old_gnu, "0.0": pax_0_0, "0.1": pax_0_1, "1.0": pax_1_0}


@pytest.mark.parametrize("name", FORMATS)
def test_e8_sparse_files_are_unsupported_unless_asked_for(name: str) -> None:
    with pytest.raises(Unsupported, match="sparse file"):
        listing(FORMATS[name]())


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", FORMATS)
def test_e8_all_formats_tell_the_same_data_and_holes(name: str, cut: Cut) -> None:
    found = listing(FORMATS[name](), dialect=SPARSE, cut=cut)
    (entry,) = found.entries
    assert (entry.name, entry.size, entry.sparse, entry.type) == (b"sparse", 2000, True, b"0")
    assert found.contents == [CONTENT]
    assert found.holes == [997, 998]
    assert found.finished == 1


@pytest.mark.parametrize("name", FORMATS)
def test_e8_a_truncated_sparse_file_is_an_error(name: str) -> None:
    data = FORMATS[name]()
    for end in range(513, len(data) - 1024, 97):
        with pytest.raises(TruncatedArchive):
            listing(data[:end], dialect=SPARSE)


def test_old_gnu_maps_go_on_in_extension_blocks() -> None:
    pieces = [(i * 1000, 1) for i in range(4 + 21 + 3)]
    pairs = [octal(offset, 12) + octal(size, 12) for offset, size in pieces[4:]]
    first = b"".join(pairs[:21]) + b"\1" + bytes(7)
    second = b"".join(pairs[21:]).ljust(512, b"\0")
    head = sparse_header(pieces[:4], 30_000, stored=28, extended=True)
    found = listing(head + first + second + padded(b"x" * 28) + END, dialect=SPARSE, cut=random_cuts)
    assert found.contents[0].count(b"x") == 28
    assert len(found.contents[0]) == 30_000


def test_a_map_of_format_1_0_may_span_blocks() -> None:
    pieces = [(i * 10, 1) for i in range(200)]
    lines = b"200\n" + b"".join(b"%d\n%d\n" % piece for piece in pieces)
    data = pax(
        (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"2000")
    ) + member(b"s", padded(lines) + b"x" * 200) + END  # fmt: skip
    assert listing(data, dialect=SPARSE).contents == [(b"x" + bytes(9)) * 200]


def refused(data: bytes, error: type[PullerError] = InvalidArchive) -> None:
    with pytest.raises(error):
        listing(data, dialect=SPARSE)


@pytest.mark.parametrize(
    "pieces",
    [
        [(5, 3), (0, 2)],  # backwards
        [(0, 3), (2, 2)],  # overlapping
        [(0, 3), (1999, 2)],  # beyond the end
        [(0, 3), (1000, 3)],  # more than is stored
        [(0, 3)],  # less than is stored
        [(0, 5), (2**40, 0)],
    ],
)
def test_e8_a_map_that_makes_no_sense_is_refused(pieces: list[tuple[int, int]]) -> None:
    refused(sparse_header(pieces, 2000, stored=5) + padded(b"abcde") + END)
    numbers = b",".join(b"%d,%d" % piece for piece in pieces)
    count = b"%d" % len(pieces)
    records = ((b"GNU.sparse.size", b"2000"), (b"GNU.sparse.numblocks", count), (b"GNU.sparse.map", numbers))
    refused(pax(*records) + member(b"s", b"abcde") + END)


@pytest.mark.parametrize(
    "lines", [b"x\n", b"-1\n", b"1\n0\n", b"3\n0\n3\n1000\n2\n2000\n-0\n", b"1" * 600, b"9" * 19 + b"\n"]
)
def test_e8_a_broken_map_in_the_content_is_refused(lines: bytes) -> None:
    with pytest.raises(LayerError):
        listing(pax_1_0(lines), dialect=SPARSE)


def test_e8_a_map_of_too_many_pieces_is_refused_without_reading_it() -> None:
    records = ((b"GNU.sparse.size", b"2000"), (b"GNU.sparse.numblocks", b"10000000"), (b"GNU.sparse.map", b"0,1"))
    refused(pax(*records) + member(b"s", b"a") + END, LimitExceeded)
    refused(pax_1_0(b"10000000\n"), LimitExceeded)
    endless = sparse_header([(0, 0)], 1, stored=0, extended=True)
    block = (octal(1, 12) + octal(0, 12)) * 21 + b"\1" + bytes(7)
    refused(endless + block * 6000, LimitExceeded)


def test_e8_more_pieces_in_a_record_than_it_claims_are_refused_before_they_are_taken_apart() -> None:
    numbers = b"0" + b",0" * (2 * MAX_FRAGMENTS + 1)
    records = ((b"GNU.sparse.size", b"9"), (b"GNU.sparse.numblocks", b"1"), (b"GNU.sparse.map", numbers))
    refused(pax(*records) + member(b"s", b"a") + END, LimitExceeded)


def test_a_sparse_file_of_a_version_nobody_knows_is_unsupported() -> None:
    records = ((b"GNU.sparse.major", b"2"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"9"))
    refused(pax(*records) + member(b"s", b"a") + END, Unsupported)


def test_sparse_records_on_a_link_and_on_an_old_sparse_file_are_refused() -> None:
    records = pax((b"GNU.sparse.size", b"5"), (b"GNU.sparse.numblocks", b"0"), (b"GNU.sparse.map", b""))
    refused(records + header(b"l", kind=b"2") + END)
    refused(records + old_gnu())
    refused(header(b"s", kind=b"S", magic=POSIX) + END)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar is not installed")
@pytest.mark.parametrize("options", [["gnu"], ["posix", "0.0"], ["posix", "0.1"], ["posix", "1.0"]])
def test_sparse_archives_of_gnu_tar_are_read_whole(options: list[str], tmp_path: Path) -> None:
    holes = tmp_path / "holes"
    with holes.open("wb") as file:
        for i in range(60):
            file.seek(i * 100_000)
            file.write(b"data%d" % i)
        file.truncate(7_000_000)
    version = [f"--sparse-version={options[1]}"] if len(options) > 1 else []
    command = ["tar", "-C", str(tmp_path), "-cSf", "-", f"--format={options[0]}", *version, "holes"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    assert len(archive) < 1_000_000
    told: Listing = listing(archive, dialect=SPARSE)
    assert told.contents == [holes.read_bytes()]
