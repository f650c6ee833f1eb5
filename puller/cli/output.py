"""Output: an archive into a file, which appears under its name when it is complete, or into stdout."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from puller.errors import InvalidConfig
from puller.model.diskerror import disk_error
from puller.model.text import printable

_CREATE: Final = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC


@contextmanager
def archive_output(output: str, *, verb: str) -> Iterator[BinaryIO]:
    """What `-o` means: `-` is stdout. The file lies beside its place until the block ends, and is gone after an error.

    `verb` is for the name it has meanwhile. Raises InvalidConfig for a terminal, and for what can be no file.
    """
    if output == "-":
        if sys.stdout.isatty():
            raise InvalidConfig("an archive is nothing for a terminal", hint="Give -o FILE, or redirect stdout.")
        with _typed("stdout"):
            yield sys.stdout.buffer
        return
    target = Path(output)
    try:
        if not target.name or (target.exists() and not target.is_file()):
            hint = "Give -o - and redirect stdout for what is no file of its own."
            raise InvalidConfig("the archive can only become a file", where=output or ".", hint=hint)
        file, unfinished = _beside(target, verb)
    except OSError as error:
        raise InvalidConfig("the archive cannot be written", where=target, got=error.strerror) from error
    try:
        with _typed(target):
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _typed(where: object) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # whoever read has gone, and knows it
        raise
    except OSError as error:
        raise disk_error(error, where=where) from error


def spoken(output: str) -> str:
    """What people call it."""
    return "stdout" if output == "-" else printable(output)


def left_of(output: str) -> str:
    """What is left of it after an interrupt."""
    return "the archive is not whole" if output == "-" else "nothing was written"


def _beside(target: Path, verb: str) -> tuple[BinaryIO, Path]:
    """A new file in the same directory, of a name that nobody can have planted (THREATS H1)."""
    path = target.with_name(f".{verb}-{secrets.token_hex(8)}.unfinished")
    return os.fdopen(os.open(path, _CREATE, 0o666), "wb"), path
