"""The signing key in its file: made once, private, and never shown."""

import subprocess
import sys
from pathlib import Path

import pytest

from puller.errors import ContentCorrupt, InvalidConfig, PullerError, StoreUnusable
from puller.graph.keyfile import signing_key
from puller.legacy.signing import SigningKey

MAKE = """
import sys
from pathlib import Path
from puller.graph.keyfile import signing_key
print(signing_key(Path(sys.argv[1])).public.key_id)
"""


def test_a_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    made = signing_key(path)
    assert signing_key(path).public == made.public
    assert SigningKey.parse(path.read_bytes()).public == made.public
    assert b'"crv":"P-256"' in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["key.json"]


def test_two_processes_at_once_end_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    running = [
        subprocess.Popen([sys.executable, "-c", MAKE, str(path)], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = {process.communicate()[0].strip() for process in running}
    assert said == {signing_key(path).public.key_id}
    assert [p.name for p in tmp_path.iterdir()] == ["key.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_may_touch_is_not_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.json"
    signing_key(path)
    path.chmod(mode)
    with pytest.raises(StoreUnusable, match="open to others") as error:
        signing_key(path)
    assert error.value.got == f"{mode:04o}"


@pytest.mark.parametrize("cut", [0, 1, 40, 100])
def test_a_damaged_key_is_told_without_a_word_of_it(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "key.json"
    signing_key(path)
    raw = path.read_bytes()
    path.write_bytes(raw[:cut] if cut else raw.replace(b'"d":"', b'"d":"AAAB'))
    with pytest.raises(InvalidConfig, match="damaged") as error:
        signing_key(path)
    assert error.value.__cause__ is None
    secret = raw.partition(b'"d":"')[2].partition(b'"')[0].decode()
    assert secret[:8] not in str(error.value.facts())
    assert path.exists()


def test_h1_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "key.json").symlink_to(target)
    with pytest.raises(ContentCorrupt, match="symbolic link"):
        signing_key(tmp_path / "key.json")
    assert not target.exists()


def test_half_a_key_that_a_dead_process_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".key.json.new").write_bytes(b"x" * 5000)
    signing_key(tmp_path / "key.json")
    assert [p.name for p in tmp_path.iterdir()] == ["key.json"]
    assert signing_key(tmp_path / "key.json")


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PullerError):
        signing_key(tmp_path / "no" / "key.json")
