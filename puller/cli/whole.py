"""Whole: files that appear under their names complete, or not at all."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

_CREATE: Final = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC


def unfinished_name(file: Path) -> Path:
    """What a file is called until it is whole: in the same folder, by a name of its own."""
    return file.with_name(f".{file.name}.{secrets.token_hex(4)}.unfinished")


def write_whole(file: Path, raw: bytes, *, named: Callable[[Path], Path] = unfinished_name) -> None:
    """Write it; it is on the disk when this returns, and what was there before stays where that fails.

    A link that somebody has planted is replaced and not followed (THREATS H1), and nobody but this user may write to
    the file, whatever the umask (THREATS H7). `named` says what it is called until it is whole. Raises OSError.
    """
    unfinished = named(file)
    descriptor = os.open(unfinished, _CREATE, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as output:
            output.write(raw)
            output.flush()
            os.fsync(descriptor)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
