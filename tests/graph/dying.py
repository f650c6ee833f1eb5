"""A process that dies at every step it takes: run by test_dying, in a process of its own.

Standard output: how many deaths it died. Each is of a fork that kills itself before the n-th touch of the disk, as
`sys.addaudithook` tells of them; what it left is then looked at, and the work done again.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from puller.graph.graph import DiskGraph
from tests.graph.images import graph_at, left_in, named, register

STEPS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "os.listdir", "fcntl.flock"}
    | {"os.link", "os.truncate", "shutil.rmtree", "os.chmod", "os.utime"}
)


def dies(work: Callable[[], object], step: int) -> bool:
    """Do `work` in a fork that is killed at its `step`-th step; whether it was."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return True
        assert os.waitstatus_to_exitcode(status) == 0
        return False
    left = step

    def count(event: str, _: tuple[object, ...]) -> None:
        nonlocal left
        if event in STEPS:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    work()
    os._exit(0)


def deaths(root: Path, work: Callable[[DiskGraph], object], check: Callable[[DiskGraph], None]) -> int:
    """Die at every step of `work`, each time over what the deaths before have left; how many there were."""
    step = 1
    while dies(lambda: work(graph_at(root, durable=True)), step):
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


if __name__ == "__main__":
    print({"registering": registering, "deleting": deleting}[sys.argv[1]](Path(sys.argv[2])))
