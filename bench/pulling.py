"""What it costs to have an image ready to run: fetched, verified and unpacked, against docker."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.contest import Result
from bench.contestant import Task, puller
from bench.docker import docker, docker_pull
from bench.ground import Ground, Unmeasurable
from bench.ram import ram_folder
from bench.section import FIGURES, figures, section
from bench.table import ratio
from bench.tool import MissingTool

IMAGES = ("medium", "small")
TITLE = "Pull, verify and unpack"
AIM = (
    "Aim: puller ≤ 0.33 × docker. docker proves what puller --digest-only proves: digests on the way, diff IDs while"
    " unpacking."
)
# What a disk does to timings no number of rounds makes good, and docker takes its time.
DISK_ROUNDS = 3
LOG_PATIENCE = 2.0


def pull(ground: Ground) -> str:
    """Into stores in memory where there is room, and into stores on the disk that holds the cache."""
    rows: list[Sequence[str]] = []
    notes = [AIM]
    for where, place in (("tmpfs", _memory), ("disk", _disk)):
        try:
            with place(ground) as there:
                for image in IMAGES:
                    rows += _rows(there, image, where)
        except (MissingTool, Unmeasurable) as reason:
            notes.append(f"Not all measured on {where}: {reason}.")
        else:
            notes.append(f"On {where} {there.rounds} rounds.")
    return section(TITLE, ("image, where, program", *FIGURES, "to docker"), rows, " ".join(notes))


@contextmanager
def _memory(ground: Ground) -> Iterator[Ground]:
    needed = max(_room(ground.task(image)) for image in IMAGES)
    with ram_folder(needed) as folder:
        yield ground.at(folder)


@contextmanager
def _disk(ground: Ground) -> Iterator[Ground]:
    yield replace(ground, rounds=min(ground.rounds, DISK_ROUNDS))


def _room(task: Task) -> int:
    # One store at a time, and blocks that files only begin to fill.
    return 2 * task.image.size + 2 * sum(layer.unpacked for layer in task.image.layers)


def _rows(ground: Ground, image: str, where: str) -> Iterator[Sequence[str]]:
    results = _contest(ground, ground.task(image))
    for result in results:
        yield f"{image}, {where}, {result.name}", *figures(result), ratio(result.seconds, results[-1].seconds)


def _contest(ground: Ground, task: Task) -> list[Result]:
    with docker(ground.scratch / "docker", ground.env) as daemon:
        before = served(task)
        results = ground.contest(
            puller(task),
            puller(task, "--no-tarsum"),
            puller(task, "--digest-only"),
            docker_pull(task, daemon),
        )
        prove_all_was_unpacked(task, [result for result in results if result.name.startswith("puller")])
        prove_all_was_fetched(task, before, runs=(ground.rounds + 1) * len(results))
    return results


def prove_all_was_unpacked(task: Task, results: Sequence[Result]) -> None:
    """Raise Unmeasurable unless each store held at least what the layers hold: else blobs alone were measured."""
    entries = sum(layer.entries for layer in task.image.layers)
    for result in results:
        if result.left < entries:
            raise Unmeasurable(f"{result.name} left {result.left} files where the layers hold {entries}")


def prove_all_was_fetched(task: Task, before: int, *, runs: int, patience: float = LOG_PATIENCE) -> None:
    """Raise Unmeasurable unless the registry served every layer in every run, beyond `before` bytes of earlier ones.

    Only the registry can tell whether each store really was empty. Its log comes after its answers, at most by
    `patience` in seconds.
    """
    deadline = time.monotonic() + patience
    while served(task) - before < runs * task.image.size:
        if time.monotonic() > deadline:
            raise Unmeasurable("some run fetched less than the whole image: its store was not empty")
        time.sleep(0.05)


def served(task: Task) -> int:
    """Bytes of the image's layers that the registry has sent so far."""
    digests = {layer.digest for layer in task.image.layers}
    requests = (r for r in task.registry.requests() if r.method == "GET")
    return sum(request.size for request in requests if Path(request.path).name in digests)
