"""Files that appear whole: reports, plans, lock files."""

import os
from pathlib import Path

import pytest

from puller.cli.whole import unfinished_name, write_whole


def test_a_file_appears_in_the_place_of_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    write_whole(file, b"one")
    write_whole(file, b"two")
    assert file.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [file]


def test_h1_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, file = tmp_path / "victim", tmp_path / "report.json"
    victim.write_bytes(b"precious")
    file.symlink_to(victim)
    write_whole(file, b"report")
    assert (victim.read_bytes(), file.read_bytes(), file.is_symlink()) == (b"precious", b"report", False)


def test_h1_no_two_unfinished_files_have_one_name(tmp_path: Path) -> None:
    assert len({unfinished_name(tmp_path / "report.json") for _ in range(100)}) == 100


def test_h1_a_link_planted_for_the_unfinished_file_is_not_followed(tmp_path: Path) -> None:
    victim, planted = tmp_path / "victim", tmp_path / ".report.json.12345678.unfinished"
    victim.write_bytes(b"precious")
    planted.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "report.json", b"report", named=lambda file: planted)  # as if it could be guessed
    assert victim.read_bytes() == b"precious"
    assert planted.is_symlink()


@pytest.mark.parametrize(("mask", "mode"), [(0, 0o644), (0o077, 0o600), (0o002, 0o644)])
def test_h7_nobody_else_may_write_to_it_whatever_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "plan.json", b"plan")
    finally:
        os.umask(before)
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == mode


def test_where_it_cannot_be_written_what_was_there_stays_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "taken", b"report")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
