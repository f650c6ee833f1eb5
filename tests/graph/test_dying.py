"""Killed at any step, or refused by the disk or the driver at any step: an image is complete, or it is not there."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from puller.errors import NoSpace, PullerError
from tests.graph.images import archive, graph_at, left_in, named, new_image, register
from tests.graph.plainvfs import PlainVfs
from tests.graph.recorded import layer


class Stop(BaseException):
    """What nobody expects."""


@pytest.mark.slow
@pytest.mark.parametrize("hit", ["killed", "refused"])
@pytest.mark.parametrize("work", ["registering", "deleting"])
def test_killed_or_out_of_space_at_any_step_an_image_is_complete_or_absent(tmp_path: Path, work: str, hit: str) -> None:
    child = [sys.executable, "-m", "tests.graph.dying", work, hit, str(tmp_path / "docker")]
    done = subprocess.run(child, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 40


@pytest.mark.parametrize("step", ["make", "made"])
@pytest.mark.parametrize("error", [Stop(), NoSpace("full"), OSError(errno.ENOSPC, "full"), ValueError("bug")])
def test_whatever_a_driver_raises_nothing_is_left(tmp_path: Path, step: str, error: BaseException) -> None:
    root = tmp_path / "docker"

    def fail(name: str) -> None:
        if name == step:
            raise error

    with pytest.raises((type(error), NoSpace)):
        register(graph_at(root, PlainVfs(root, fail)), "a")
    assert left_in(root) == []
    assert not (root / "vfs/dir" / named("a")).exists()
    register(graph_at(root), "a")


def test_r7_a_listener_that_raises_ends_a_registration_at_any_word(tmp_path: Path) -> None:
    root = tmp_path / "docker"
    whole = archive(a="a" * (3 << 20))
    for words in range(1, 100):
        heard = 0

        def told(_: int, last: int = words) -> None:
            nonlocal heard
            heard += 1
            if heard == last:
                raise Stop

        try:
            with layer(whole) as blob:
                graph_at(root).register(new_image("a"), blob, told)
        except Stop:
            assert left_in(root) == []
            assert graph_at(root).ids() == []
        else:
            break
    assert words > 3
    assert graph_at(root).get(named("a")).size == 3 << 20


def test_a_driver_that_fails_to_clean_up_hides_no_error_and_the_next_sweeps(tmp_path: Path) -> None:
    root = tmp_path / "docker"

    def fail(name: str) -> None:
        if name in ("made", "remove"):
            raise NoSpace(name)

    with pytest.raises(NoSpace, match="made"):
        register(graph_at(root, PlainVfs(root, fail)), "a")
    assert left_in(root) == [named("a")]
    assert graph_at(root).ids() == []
    register(graph_at(root), "b")
    assert left_in(root) == []
    assert [path.name for path in (root / "vfs/dir").iterdir()] == [named("b")]


def test_a_deletion_that_fails_half_way_leaves_no_image_and_the_next_sweeps(tmp_path: Path) -> None:
    root = tmp_path / "docker"

    def fail(name: str) -> None:
        raise NoSpace(name)

    register(graph_at(root), "a")
    with pytest.raises(PullerError):
        graph_at(root, PlainVfs(root, fail)).delete(named("a"))
    assert graph_at(root).ids() == []
    register(graph_at(root), "b")
    assert not (root / "vfs/dir" / named("a")).exists()


def test_what_others_left_is_swept_once_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    root = tmp_path / "docker"
    tmp = root / "graph" / "_tmp"
    (tmp / named("left") / "layer").mkdir(parents=True)
    (tmp / named("left") / "layer" / "file").write_text("x")
    (tmp / named("file")).write_text("x")
    (tmp / "something else").mkdir()
    (tmp / "locks").mkdir()
    for lock in ("image-", "held-"):
        (tmp / "locks" / f"{lock}{named('gone')}").touch()

    def while_made(step: str) -> None:
        if step == "make":
            register(graph_at(root), "b")  # sweeps as well

    register(graph_at(root, PlainVfs(root, while_made)), "a")
    assert left_in(root) == ["something else"]
    assert set(graph_at(root).ids()) == {named("a"), named("b")}
