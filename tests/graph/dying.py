"""A process that dies at every step it takes, or is refused it: run by test_dying, in a process of its own.

Standard output: how often. Each time it is a fork that kills itself, or is told that the disk is full, before the n-th
time that the graph touches the disk, as `sys.addaudithook` announces them. What it left is then looked at, and the work
done again.
"""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from puller.errors import NoSpace
from puller.graph.graph import DiskGraph
from tests.graph.images import graph_at, left_in, named, register

STEPS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "os.listdir", "fcntl.flock"}
    | {"os.link", "os.truncate", "shutil.rmtree", "os.chmod", "os.utime"}
)

DONE, FAILED, REFUSED = 0, 1, 3
CHECKOUT = str(Path(__file__).parents[2])


def dies(work: Callable[[], object], step: int, hit: Callable[[], None]) -> bool:
    """Do `work` in a fork that is `hit` before its `step`-th step; whether it came to that."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (DONE, REFUSED, -signal.SIGKILL), code
        return code != DONE
    left = step

    def count(event: str, _: tuple[object, ...]) -> None:
        nonlocal left
        if event in STEPS and is_ours():
            left -= 1
            if not left:
                hit()

    sys.addaudithook(count)
    try:
        work()
    except NoSpace:
        os._exit(REFUSED)
    except BaseException:
        traceback.print_exc()
        os._exit(FAILED)
    os._exit(DONE if left > 0 else REFUSED)


def is_ours() -> bool:
    """Whether the graph asked for it, not the driver or the test."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and CHECKOUT not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None and "/puller/graph/" in frame.f_code.co_filename


def kill() -> None:
    """Die here and now."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    """Have no room."""
    raise OSError(errno.ENOSPC, "No space left on device")


def deaths(root: Path, work: Callable[[DiskGraph], object], check: Callable[[DiskGraph], None]) -> int:
    """Be hit at every step of `work`, each time over what was left before; how many there were."""
    step = 1
    while dies(lambda: work(graph_at(root, durable=True)), step, HITS[sys.argv[2]]):
        check(graph_at(root))
        step += 1
    check(graph_at(root))
    return step - 1


def is_whole(graph: DiskGraph) -> bool:
    """Whether the image is here, and then all of it is."""
    if not graph.has(named("a")):
        return False
    assert b"aaa" in b"".join(graph.layer_tar(named("a")))
    assert (graph.get(named("a")).size, graph.get(named("a")).parent) == (3, named("base"))
    return True


def registering(root: Path) -> int:
    """Complete or absent; a graph that is used again has nothing left over, whichever way it ended."""
    register(graph_at(root), "base")

    def check(graph: DiskGraph) -> None:
        if not is_whole(graph):
            assert graph.ids() == [named("base")]
        register(graph, "next", "base")  # sweeps
        assert left_in(root) == []
        trees = sorted(path.name for path in (root / "vfs/dir").iterdir())
        assert trees == graph.ids()
        for name in ("next", "a"):
            if graph.has(named(name)):
                graph.delete(named(name))

    return deaths(root, lambda graph: register(graph, "a", "base"), check)


def deleting(root: Path) -> int:
    """There as it was, or gone; and what is left of it goes with the next."""
    register(graph_at(root), "base")
    register(graph_at(root), "a", "base")

    def check(graph: DiskGraph) -> None:
        if not is_whole(graph):
            assert graph.ids() == [named("base")]
        register(graph, "next", "base")
        graph.delete(named("next"))
        assert [name for name in left_in(root) if not name.startswith("locks/held-")] == []
        assert sorted(path.name for path in (root / "vfs/dir").iterdir()) == graph.ids()
        register(graph, "a", "base")

    return deaths(root, lambda graph: graph.delete(named("a")), check)


WORKS = {"registering": registering, "deleting": deleting}
HITS = {"killed": kill, "refused": refuse}

if __name__ == "__main__":
    print(WORKS[sys.argv[1]](Path(sys.argv[3])))
