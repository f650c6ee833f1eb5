"""A folder in memory, or the reason why there is none."""

from pathlib import Path

import pytest

from bench.ram import PLACES, NoRoom, ram_folder


@pytest.fixture
def place() -> Path:
    """A tmpfs; skips where there is none."""
    try:
        with ram_folder(1):
            return PLACES[0]
    except NoRoom as reason:
        pytest.skip(str(reason))


def test_the_folder_is_empty_and_gone_afterwards(place: Path) -> None:
    with ram_folder(1, places=[place]) as folder:
        assert list(folder.iterdir()) == []
        (folder / "deep/er").mkdir(parents=True)
    assert not folder.exists()


def test_a_place_that_is_no_tmpfs_is_refused_by_name() -> None:
    with pytest.raises(NoRoom, match=r"^/proc is no tmpfs$"), ram_folder(1, places=[Path("/proc")]):
        pass


def test_a_place_without_room_is_refused_with_figures(place: Path) -> None:
    with pytest.raises(NoRoom, match=r"has room for \d+\.\d GB where 1000000\.0 GB are needed"):
        with ram_folder(10**15, places=[place]):
            pass


def test_the_first_fit_place_is_taken(place: Path) -> None:
    with ram_folder(1, places=[Path("/proc"), place]) as folder:
        assert folder.parent == place
