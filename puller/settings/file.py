"""File: a settings file, read whole and bounded; and a TOML table, whose values are asked for by key and kind.

What cannot be read or is of another kind is an InvalidConfig that names file and key, and never quotes a value.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from puller.errors import InvalidConfig

MAX_BYTES = 1 << 20
MAX_ITEMS = 1000


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder, as far as this user can see: after `su` a home may be somebody else's."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def read_file(path: Path) -> bytes | None:
    """The bytes of a file; None where there is none. Raises InvalidConfig."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidConfig("a settings file cannot be read", where=path, got=error.strerror) from error
    if len(raw) > MAX_BYTES:
        raise InvalidConfig("a settings file is too large", where=path, wanted=f"at most {MAX_BYTES} bytes")
    return raw


def read_toml(path: Path) -> "Table | None":
    """The table that a TOML file is; None where there is none. Raises InvalidConfig."""
    raw = read_file(path)
    if raw is None:
        return None
    import tomllib  # only now: most people have set up nothing

    try:
        return Table(tomllib.loads(raw.decode()), path)
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig("a settings file is no TOML", where=path, got=_place(error)) from None
    except (UnicodeDecodeError, RecursionError):
        raise InvalidConfig("a settings file is no TOML", where=path) from None


class Table:
    """A TOML table of `file`; `key` is its own, "" for the whole file."""

    def __init__(self, values: Mapping[str, Any], file: Path, key: str = "") -> None:
        self.values = values
        self.file = file
        self.key = key

    def has(self, key: str) -> bool:
        """Whether anything is set there."""
        return key in self.values

    def text(self, key: str) -> str:
        """A string; "" where there is none."""
        return self._of(key, str, "a string") or ""

    def flag(self, key: str) -> bool | None:
        """`true` or `false`; None where there is none."""
        value: bool | None = self._of(key, bool, "true or false")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """An array of strings; None where there is none."""
        values = self._of(key, list, "an array of strings")
        if values is None:
            return None
        if len(values) > MAX_ITEMS or not all(isinstance(value, str) for value in values):
            raise self.wrong(key, f"an array of at most {MAX_ITEMS} strings")
        return tuple(values)

    def table(self, key: str) -> "Table | None":
        """A table; None where there is none."""
        values = self._of(key, dict, "a table")
        return None if values is None else Table(values, self.file, self._full(key))

    def tables(self, key: str) -> "list[Table]":
        """An array of tables, which may be empty."""
        values = self._of(key, list, "an array of tables") or []
        if len(values) > MAX_ITEMS or not all(isinstance(value, dict) for value in values):
            raise self.wrong(key, f"an array of at most {MAX_ITEMS} tables")
        return [Table(value, self.file, f"{self._full(key)}[{place}]") for place, value in enumerate(values)]

    def wrong(self, key: str, wanted: str, *, got: str | None = None, hint: str = "") -> InvalidConfig:
        """The error for what is set at `key`."""
        where = f"{self.file}: {self._full(key)}"
        return InvalidConfig("a setting cannot be used", where=where, wanted=wanted, got=got, hint=hint)

    def _of(self, key: str, kind: type, wanted: str) -> Any:
        value = self.values.get(key)
        if value is not None and not isinstance(value, kind):
            raise self.wrong(key, wanted)
        return value

    def _full(self, key: str) -> str:
        return f"{self.key}.{key}" if self.key and key else self.key or key


def _place(error: Exception) -> str | None:
    """Line and column of a TOML error: what else it says may quote the file, and with it a secret."""
    _, found, place = str(error).rpartition("(at ")
    return place.rstrip(")") if found else None
