"""What every part of the benchmark stands on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.contest import Result, contest
from bench.contestant import Contestant, Task
from bench.layout import Image
from bench.push import repository
from bench.registry import Registry


def environment(environ: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """What programs are run with: nobody's own credentials or settings take part.

    Above all not PYTHONDONTWRITEBYTECODE, with which every start would compile this project anew, as no installed
    program does.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("PYTHON")}
    return kept | {"DOCKER_CONFIG": str(scratch / "no-config")}


class Unmeasurable(Exception):
    """A part cannot be measured on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Ground:
    """The images, the registry that serves them, a place for stores, an environment."""

    images: Mapping[str, Image]
    registry: Registry
    rounds: int
    scratch: Path
    env: Mapping[str, str]

    def task(self, image: str) -> Task:
        """Fetch that image."""
        return Task(self.registry, repository("full", image), self.images[image])

    def at(self, scratch: Path) -> "Ground":
        """The same with stores elsewhere."""
        return replace(self, scratch=scratch)

    def contest(self, *contestants: Contestant) -> list[Result]:
        """Let them run in turn, each into a fresh folder below `scratch`."""
        return contest(contestants, rounds=self.rounds, scratch=self.scratch, env=self.env)
