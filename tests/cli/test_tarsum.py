"""`puller tarsum`: one line for a tar archive, nothing where the original fails."""

import io
import sys
from pathlib import Path

import pytest

from testregistry import images
from tests.cli.conftest import Puller

TAR = images.tar({"etc/motd": b"hello\n"})
# What Docker 1.8 says of an archive without entries (its own tests, tarsum_test.go, record the same).
EMPTY = "tarsum.v1+sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A small archive."""
    file = tmp_path / "layer.tar"
    file.write_bytes(TAR)
    return file


def test_one_line_with_label_and_sum_is_printed(puller: Puller, archive: Path) -> None:
    end = puller("tarsum", str(archive))
    assert (end.code, end.err) == (0, "")
    assert end.out.startswith("tarsum.v1+sha256:")
    assert len(end.out) == len(EMPTY) + 1


def test_an_archive_without_entries_sums_to_the_hash_of_nothing(puller: Puller, tmp_path: Path) -> None:
    (tmp_path / "empty.tar").write_bytes(bytes(1024))
    assert puller("tarsum", str(tmp_path / "empty.tar")).out == f"{EMPTY}\n"


def test_the_archive_may_come_from_standard_input(
    puller: Puller, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TAR)))
    assert puller("tarsum", "-").out == puller("tarsum", str(archive)).out


def test_sums_of_several_archives_stand_before_their_names(puller: Puller, archive: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.tar").write_bytes(bytes(1024))
    end = puller("tarsum", str(archive), str(tmp_path / "empty.tar"))
    assert end.code == 0
    assert end.out == f"{puller('tarsum', str(archive)).out.strip()}  {archive}\n{EMPTY}  {tmp_path / 'empty.tar'}\n"


def test_of_several_archives_a_broken_one_keeps_no_other_from_its_sum(
    puller: Puller, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.tar").write_bytes(TAR[:100])
    end = puller("tarsum", str(tmp_path / "bad.tar"), str(archive))
    assert end.code == 1
    assert end.out.endswith(f"  {archive}\n")
    assert len(end.out.splitlines()) == 1
    assert str(tmp_path / "bad.tar") in end.err


@pytest.mark.parametrize("label", ["tarsum+sha256", "tarsum.v1+sha256", "tarsum.dev+sha256", "tarsum.v1+sha512"])
def test_the_label_chooses_version_and_hash(puller: Puller, archive: Path, label: str) -> None:
    end = puller("tarsum", "--label", label, str(archive))
    assert end.code == 0
    assert end.out.startswith(f"{label}:")


@pytest.mark.parametrize("label", ["", "tarsum.v2+sha256", "tarsum.v1+md5", "tarsum.v1", "sha256"])
def test_an_unknown_label_is_refused_without_a_sum(puller: Puller, archive: Path, label: str) -> None:
    end = puller("tarsum", "--label", label, str(archive))
    assert (end.code, end.out) == (1, "")
    assert end.err.startswith("puller: ")
    assert "tarsum.v1+sha256" in end.err


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_archives_are_read_only_when_told_so(
    puller: Puller, archive: Path, tmp_path: Path, compression: images.Compression
) -> None:
    (tmp_path / "layer.tar.x").write_bytes(images.compress(TAR, compression))
    plain = puller("tarsum", str(archive)).out
    assert puller("tarsum", "--decompress", str(tmp_path / "layer.tar.x")).out == plain
    refused = puller("tarsum", str(tmp_path / "layer.tar.x"))
    assert (refused.code, refused.out) == (1, "")
    assert "--decompress" in refused.err
    assert str(tmp_path / "layer.tar.x") in refused.err


BAD = {
    "cut in the content": TAR[:515],
    "cut in a header": TAR[:100],
    "text": b"no tar" * 200,
    "wrong checksum": TAR[:148] + b"9999999\0" + TAR[156:],
}


@pytest.mark.parametrize("how", BAD)
def test_where_the_original_fails_nothing_is_on_stdout_and_the_exit_code_is_1(
    puller: Puller, tmp_path: Path, how: str
) -> None:
    (tmp_path / "bad.tar").write_bytes(BAD[how])
    end = puller("tarsum", str(tmp_path / "bad.tar"))
    assert (end.code, end.out) == (1, "")
    assert end.err.startswith("puller: ")
