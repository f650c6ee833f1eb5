"""The cache of built things: complete or absent."""

from pathlib import Path

import pytest

from bench.cache import building, default_root, remove


def build_half(path: Path) -> None:
    """Begin to build a folder and fail."""
    with building(path) as partial:
        partial.mkdir()
        (partial / "half").touch()
        raise RuntimeError


def test_what_was_not_finished_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        build_half(tmp_path / "thing")
    assert not (tmp_path / "thing").exists()


def test_a_second_try_begins_without_the_leftovers_of_the_first(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        build_half(tmp_path / "thing")
    with building(tmp_path / "thing") as partial:
        partial.mkdir()
    assert list((tmp_path / "thing").iterdir()) == []


def test_removing_what_is_absent_is_no_error(tmp_path: Path) -> None:
    remove(tmp_path / "absent")


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"PULLER_BENCH_DIR": "/b", "XDG_CACHE_HOME": "/c"}, Path("/b")),
        ({"XDG_CACHE_HOME": "/c"}, Path("/c/puller-bench")),
        ({"XDG_CACHE_HOME": ""}, Path.home() / ".cache/puller-bench"),
    ],
)
def test_the_cache_lies_where_the_environment_says(environ: dict[str, str], root: Path) -> None:
    assert default_root(environ) == root
