"""Files that are there when they are whole, and not at all before."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from puller.archive.appearing import appearing
from puller.errors import InvalidConfig, StoreUnusable

HOLD = """
import sys
from pathlib import Path
from puller.archive.appearing import appearing
with appearing(Path(sys.argv[1])) as file:
    import os
    os.write(file.fd, b"half")
    print("held", flush=True)
    sys.stdin.read()
"""

both = pytest.mark.parametrize("nameless", [True, False])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@both
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_appears_when_it_is_told_to(tmp_path: Path, nameless: bool, overwrite: bool) -> None:
    with appearing(tmp_path / "a", overwrite=overwrite, nameless=nameless) as file:
        os.write(file.fd, b"content")
        assert "a" not in names(tmp_path)
        file.appear()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"content"


@both
def test_its_mode_is_what_the_umask_leaves(tmp_path: Path, nameless: bool) -> None:
    before = os.umask(0o027)
    try:
        with appearing(tmp_path / "a", nameless=nameless) as file:
            file.appear()
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@both
def test_what_fails_leaves_nothing(tmp_path: Path, nameless: bool) -> None:
    with pytest.raises(KeyboardInterrupt), appearing(tmp_path / "a", nameless=nameless):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


@both
def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path, nameless: bool) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(InvalidConfig, match="there already"), appearing(tmp_path / "a", nameless=nameless):
        pass
    with appearing(tmp_path / "a", overwrite=True, nameless=nameless) as file:
        os.write(file.fd, b"new")
        assert (tmp_path / "a").read_bytes() == b"old"
        file.appear()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"new"


@both
def test_a_file_that_comes_meanwhile_stays(tmp_path: Path, nameless: bool) -> None:
    with appearing(tmp_path / "a", nameless=nameless) as file:
        os.write(file.fd, b"mine")
        (tmp_path / "a").write_bytes(b"theirs")
        with pytest.raises(InvalidConfig, match="there already"):
            file.appear()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"theirs"


@both
def test_h1_a_link_that_lies_there_is_not_followed(tmp_path: Path, nameless: bool) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidConfig), appearing(tmp_path / "a", nameless=nameless):
        pass
    with appearing(tmp_path / "a", overwrite=True, nameless=nameless) as file:
        file.appear()
    assert names(tmp_path) == ["a"]
    assert not (tmp_path / "a").is_symlink()


@both
@pytest.mark.parametrize("name", ["", "none/a", "folder", "pipe"])
def test_what_can_be_no_file_is_a_wrong_word(tmp_path: Path, nameless: bool, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidConfig), appearing(tmp_path / name, overwrite=True, nameless=nameless):
        pass
    assert names(tmp_path) == ["folder", "pipe"]


@both
def test_r11_a_folder_that_takes_no_files_is_told(nameless: bool) -> None:
    with pytest.raises(StoreUnusable), appearing(Path("/proc/self/a"), nameless=nameless):
        pass


def test_r5_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "a")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGKILL)
    assert names(tmp_path) == []
