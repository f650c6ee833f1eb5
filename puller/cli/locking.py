"""Locking: what `puller lock` does with its words; and lock files read for other verbs."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from puller.cli import interrupt
from puller.cli.asking import resolved
from puller.cli.environment import mirror_state_path
from puller.cli.failure import exit_code, gravest, show
from puller.cli.lines import counted
from puller.cli.naming import meant, short_names
from puller.cli.options import Access
from puller.cli.registries import open_client
from puller.cli.screen import Plain
from puller.cli.whole import write_whole
from puller.errors import InvalidConfig, PullerError
from puller.mirror.config import Config
from puller.mirror.lockfile import MAX_BYTES, Lock
from puller.model.descriptor import Descriptor
from puller.model.diskerror import disk_error
from puller.model.reference import Reference
from puller.model.text import printable
from puller.ops.lock import Locking, Moved, lock_names, lockable, moved_since

LEFT = "no lock file was written"


def lock_all(words: Sequence[str], file: Path, state: Path | None, access: Access) -> int:
    """Lock references, and what files of syncs select; the exit code. Nothing is written unless all of it is known."""
    check_lock_place(file)
    files = [word for word in dict.fromkeys(words) if Path(word).is_file() or _looks_like_a_file(word)]
    names = short_names()
    references = {word: names.to_ask(word) for word in dict.fromkeys(words) if word not in files}
    configs = {word: _config_in(Path(word)) for word in files}

    async def main() -> list[Locking]:
        parts = [await _configured(Path(word), config, state, access) for word, config in configs.items()]
        return [*parts, await _named(references, access)] if references else parts

    parts = interrupt.run(main, left=LEFT)
    images = {name: found for part in parts for name, found in part.images.items()}
    for part in parts:
        for text in part.warnings:
            click.echo(f"warning: {printable(text)}", err=True)
    code = _tell(part.problems for part in parts)
    if code:
        click.echo(f"{LEFT}: {counted(sum(len(part.problems) for part in parts), 'name')} not known", err=True)
        return code
    write_lock(file, Lock(images))
    click.echo(f"{counted(len(images), 'name')} locked in {printable(str(file))}")
    return 0


def check_lock(file: Path, access: Access) -> int:
    """Print which names stand for something else than when they were locked; the exit code."""
    lock = read_lock(file)

    async def main() -> tuple[list[Moved], Locking]:
        async with open_client(access, jobs=1, report=Plain(several=False).show) as client:
            return await moved_since(lock, client.source)

    moved, asked = interrupt.run(main)
    for one in moved:
        click.echo(f"{one.name}  {one.locked} → {one.now or 'gone'}")
    code = _tell([asked.problems])
    tags = sum(name.tag is not None for name in lock.images)
    click.echo(f"{len(moved)} of {counted(tags, 'tag')} moved", err=True)
    return gravest((code, 1 if moved else 0))


def read_lock(file: Path) -> Lock:
    """The lock in a file. Raises InvalidConfig."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "Write it with `puller lock`." if isinstance(error, FileNotFoundError) else ""
        raise InvalidConfig("the lock file cannot be read", where=file, got=error.strerror, hint=hint) from error
    return Lock.decode(raw, str(file))


def check_lock_place(file: Path) -> None:
    """Refuse early a file that could not be written in the end. Raises InvalidConfig."""
    if not file.absolute().parent.is_dir():
        raise InvalidConfig("the lock file's folder does not exist", where=file)


def write_lock(file: Path, lock: Lock) -> None:
    """Write it whole and durable, or leave what is there. Raises StoreError."""
    try:
        write_whole(file, lock.encode())
    except OSError as error:
        raise disk_error(error, where=file) from error


def _looks_like_a_file(word: str) -> bool:
    """Whether a word that is no file was meant as one, and not as an image of Docker Hub."""
    return word.startswith((".", "/", "~")) or word.endswith((".yaml", ".yml"))


async def _named(references: Mapping[str, Sequence[Reference]], access: Access) -> Locking:
    async with open_client(access, jobs=1, report=Plain(several=False).show) as client:

        async def resolve(word: str) -> tuple[Reference, Descriptor]:
            return await meant([lockable(candidate) for candidate in references[word]], partial(resolved, client))

        return await lock_names(references, resolve)


async def _configured(file: Path, config: Config, folder: Path | None, access: Access) -> Locking:
    from puller.cli.copying import open_places
    from puller.mirror.state import State
    from puller.ops.syncing.locking import lock_config

    report = Plain(several=True).show
    with State.read(folder or mirror_state_path(file)) as state:
        async with open_client(
            access, jobs=config.jobs, report=report, hosts=config.hosts, targets=config.targets
        ) as client:
            async with open_places(client) as places:
                return await lock_config(config, places, state, now=datetime.fromtimestamp(time.time(), UTC))


def _config_in(file: Path) -> Config:
    from puller.cli.syncing import config_in  # only now: references alone need nothing of syncs

    return config_in(file)


def _tell(problems: Iterable[Iterable[tuple[str, PullerError]]]) -> int:
    errors = [error for part in problems for _, error in part]
    for error in errors:
        show(error)
    return gravest(map(exit_code, errors))
