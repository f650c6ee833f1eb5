"""Exporting: what `puller export` does with its words."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from puller.cli import interrupt
from puller.cli.lines import size_text
from puller.cli.options import Where
from puller.cli.screen import screen_for
from puller.cli.workbench import open_shelves, workbench
from puller.errors import InvalidConfig
from puller.model.reference import Reference
from puller.model.text import printable
from puller.ops.export import export
from puller.ops.ledger import Ledger
from puller.rootfs.failure import translated

_CREATE: Final = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC


def export_one(text: str, output: str, where: Where) -> int:
    """Export one image to a file, which appears when it is complete, or to stdout; the exit code."""
    reference = Reference.parse(text)
    with screen_for("people", several=False) as screen:

        async def main(file: BinaryIO) -> int:
            async with workbench(where, report=screen.show) as bench:
                with open_shelves(bench.store, only=where.driver) as shelves:
                    image = await bench.shelved(reference, shelves)
                    return await export(image, file.write, Ledger(reference, screen.show))

        with _opened(output) as file:
            size = interrupt.run(lambda: main(file), warn=screen.note)
            file.flush()
        screen.note(f"exported {reference.tagged()} to {printable(output)}  {size_text(size)}")
    return 0


@contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    if output == "-":
        if sys.stdout.isatty():
            raise InvalidConfig("an archive is nothing for a terminal", hint="Give -o FILE, or redirect stdout.")
        yield sys.stdout.buffer
        return
    target = Path(output)
    try:
        if not target.name or (target.exists() and not target.is_file()):
            hint = "Give -o - and redirect stdout for what is no file of its own."
            raise InvalidConfig("the archive can only become a file", where=output or ".", hint=hint)
        file, unfinished = _beside(target)
    except OSError as error:
        raise InvalidConfig("the archive cannot be written", where=target, got=error.strerror) from error
    try:
        with translated(target.parent):
            with file:
                yield file
            unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _beside(target: Path) -> tuple[BinaryIO, Path]:
    """A new file in the same directory, of a name that nobody can have planted (THREATS H1)."""
    path = target.with_name(f".export-{secrets.token_hex(8)}.unfinished")
    return os.fdopen(os.open(path, _CREATE, 0o666), "wb"), path
