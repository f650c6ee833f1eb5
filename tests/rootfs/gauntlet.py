"""Runs attacks in a place full of canaries, also as a program of its own, so that any user can run it.

    python -m tests.rootfs.gauntlet FOLDER OPENER          prints one line of JSON: {vector: what went wrong}
    python -m tests.rootfs.gauntlet FOLDER OPENER jail     the same in the jail

It needs the standard library only, but for the jail: the interpreter that another user may run has nothing else.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from puller.errors import LayerError, PullerError
from puller.rootfs.openat2 import Opener, kernel_opener, open_stepwise
from puller.rootfs.removal import remove
from tests.rootfs.layering import SMALL, apply, census, words
from tests.rootfs.vector import Vector
from tests.rootfs.vectors import PATH_MAX, VECTORS

OPENERS: dict[str, Callable[[], Opener | None]] = {"openat2": kernel_opener, "walker": lambda: open_stepwise}

Unpack = Callable[[Path, bytes], object]  # puts a layer on a directory


class Place:
    """base/dest, where layers go, and around it what nobody may touch."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.dest = base / "dest"
        for folder in ("dest", "victim", "dest-evil", "work"):
            (base / folder).mkdir(mode=0o700)
        (base / "victim/hello").write_text("untouched")
        (base / "victim/hello").chmod(0o640)
        (base / "dest-evil/file").write_text("untouched")
        (base / "work/sentinel").write_text("untouched")
        self._before = self.outside()

    def outside(self) -> dict[str, tuple[object, ...]]:
        """All around dest; dest itself only as a name."""
        found: dict[str, tuple[object, ...]] = {}
        for name in ("victim", "dest-evil", "work"):
            found |= {f"{name}/{path}": facts for path, facts in census(self.base / name).items()}
        names = sorted(path.name for path in self.base.iterdir())
        return {**found, "names": tuple(names)}

    @property
    def is_untouched(self) -> bool:
        return self.outside() == self._before


@contextmanager
def place(parent: Path, name: str) -> Iterator[Place]:
    """A new place, and the working directory beside its dest; removed afterwards."""
    base = parent / name
    base.mkdir(mode=0o700)
    before = Path.cwd()
    found = Place(base)
    os.chdir(base / "work")
    try:
        yield found
    finally:
        os.chdir(before)
        parent_fd = os.open(parent, os.O_RDONLY)
        try:
            remove(parent_fd, os.fsencode(name))
        finally:
            os.close(parent_fd)


def trial(vector: Vector, parent: Path, unpack: Unpack) -> str:
    """What is wrong with how this attack, and its control, went; nothing if all is well."""
    return _attacked(vector, parent, unpack) or _controlled(vector, parent, unpack)


def by_engine(opener: Opener) -> Unpack:
    """The engine alone, in this process."""
    return lambda base, archive: apply(base, archive, opener=opener)


@contextmanager
def in_jail(name: str) -> Iterator[Unpack]:
    """The engine in a process of its own, behind all walls."""
    from puller.rootfs.crew import Crew  # what this imports, some interpreters do not have
    from puller.rootfs.manner import Manner
    from tests.rootfs.jobs import unpacked

    with Crew(Manner(limits=SMALL, stepwise=name == "walker")) as crew:
        yield lambda base, archive: unpacked(crew, base, archive)


def _attacked(vector: Vector, parent: Path, unpack: Unpack) -> str:
    with place(parent, "attack") as found:
        error: PullerError | None = None
        for number, archive in enumerate(vector.layers):
            try:
                unpack(found.dest, archive)
            except PullerError as caught:
                error = caught
                if number < len(vector.layers) - 1 or not isinstance(caught, LayerError):
                    return f"the wrong error: {type(caught).__name__}: {caught}"
        if not found.is_untouched:
            return "a canary was touched"
        if isinstance(vector.outcome, type):
            return "" if type(error) is vector.outcome else f"{error!r} instead of {vector.outcome.__name__}"
        if error is not None:
            return f"refused: {error!r}"
        made = words(found.dest)
        if vector is PATH_MAX:
            made = {name: word for name, word in made.items() if name.startswith("victim")}
        return "" if made == vector.outcome else f"made {made}"


def _controlled(vector: Vector, parent: Path, unpack: Unpack) -> str:
    if vector.makes is None:
        return ""
    with place(parent, "control") as found:
        for archive in vector.control:
            unpack(found.dest, archive)
        made = words(found.dest)
        if not found.is_untouched:
            return "control: a canary was touched"
        return "" if made == vector.makes else f"control made {made}"


def closed_folders(parent: Path) -> str:
    """What is wrong with how folders that are closed to their own user are removed (THREATS F13)."""
    with place(parent, "closed") as found:
        deep = found.dest / "d/e/g"
        deep.mkdir(parents=True)
        (deep / "f").touch()
        for path, mode in ((deep, 0), (deep.parent, 0), (deep.parent.parent, 0o500)):
            path.chmod(mode)
        dest = os.open(found.dest, os.O_RDONLY)
        try:
            remove(dest, b"d")
        except OSError as error:
            return repr(error)
        finally:
            os.close(dest)
        return "" if words(found.dest) == {} else "something stayed"


def main(folder: str, name: str, jail: str = "") -> None:
    """Run them all and print what went wrong."""
    opener = OPENERS[name]()
    assert opener is not None
    with in_jail(name) if jail else nullcontext(by_engine(opener)) as unpack:
        outcomes = {vector.name: trial(vector, Path(folder), unpack) for vector in VECTORS}
    outcomes["f13_closed_folders"] = closed_folders(Path(folder))
    json.dump({"ran": len(outcomes), "wrong": {name: wrong for name, wrong in outcomes.items() if wrong}}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
