"""Netrc: user names and passwords of a .netrc, for whoever asks for them with `--netrc`; never otherwise (THREATS B19).

The form is that of ftp(1) and of GNU inetutils, "The .netrc file": words, `"quoted words"`, comments from `#` on.
"""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from puller.contracts.access import Credential, KnownIdentity
from puller.errors import InvalidConfig
from puller.settings.authfile import read_named

_WORD = re.compile(r'"((?:[^"\\\n]|\\.)*)"(?!\S)|([^\s"]\S*)', re.ASCII)
_KEYWORDS = {
    "machine": "machine",
    "login": "login",
    "user": "login",
    "password": "password",
    "account": "account",
    "macdef": "macdef",
}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Netrc:
    """The machines of a file. A machine is `host` or `host:port`, exactly as the registry's name in references.

    So `machine registry.example` is not for `registry.example:5000`: there may be somebody else behind that port.
    `default` and macros are for none (THREATS B11).
    """

    def __init__(self, machines: dict[str, Credential | None], *, file: str) -> None:
        self._machines = machines
        self._file = file

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file. Raises InvalidConfig, also where others may read or write it, as ftp and curl's kin do."""
        raw = read_named(path)
        try:
            status = path.stat()
        except OSError as error:
            raise InvalidConfig("credentials cannot be read", where=path, got=error.strerror) from error
        if stat.S_ISREG(status.st_mode) and (status.st_mode & 0o077 or status.st_uid not in (os.geteuid(), 0)):
            hint = f"Keep it to yourself: chmod 600 {path}"
            raise InvalidConfig("others have access to the passwords", where=path, hint=hint)
        return cls.parse(raw, file=str(path))

    @classmethod
    def parse(cls, raw: bytes, *, file: str = ".netrc") -> Self:
        """Read the file's bytes. Raises InvalidConfig, which never quotes them."""
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidConfig("malformed netrc", where=file, wanted="UTF-8") from None
        machines: dict[str, Credential | None] = {}
        for name, fields in _entries(text, file):
            if name is None:
                continue
            try:
                entry = Credential(fields["login"], fields["password"]) if "password" in fields else None
            except (KeyError, InvalidConfig):
                raise InvalidConfig(
                    "malformed netrc", where=f"machine {name} in {file}", wanted="login and password"
                ) from None
            if name in machines and machines[name] != entry:
                raise InvalidConfig("several different credentials for one registry", where=f"machine {name} in {file}")
            machines[name] = entry
        return cls(machines, file=file)

    def identity(self, registry: str) -> KnownIdentity | None:
        """Who to be at a registry; None for nobody."""
        known = self._machines.get(registry.lower())
        return None if known is None else KnownIdentity(f"machine {registry} in {self._file}", known)


def _entries(text: str, file: str) -> Iterator[tuple[str | None, dict[str, str]]]:
    """Each machine in lower case, or None for the default, with its fields."""
    name: str | None = None
    fields: dict[str, str] = {}
    open_entry = False
    for keyword, value in _pairs(text, file):
        if keyword in ("machine", "default"):
            if open_entry:
                yield name, fields
            name, fields, open_entry = value.lower() if keyword == "machine" else None, {}, True
        elif open_entry:
            fields[keyword] = value
        else:
            raise InvalidConfig("malformed netrc", where=file, wanted="a machine first")
    if open_entry:
        yield name, fields


def _pairs(text: str, file: str) -> Iterator[tuple[str, str]]:
    """Keyword and value; `user` is another word for `login`, and macros are left out."""
    keyword = ""
    in_macro = False
    for number, line in enumerate(text.splitlines(), 1):
        if in_macro:
            in_macro = bool(line.strip())  # it ends with an empty line
            continue
        for word in _words(line, where=f"line {number} of {file}"):
            if keyword:
                if keyword == "macdef":
                    in_macro = True
                else:
                    yield keyword, word
                keyword = ""
            elif word.startswith("#"):
                break
            elif word == "default":
                yield "default", ""
            elif word in _KEYWORDS:
                keyword = _KEYWORDS[word]
            else:
                raise InvalidConfig("malformed netrc", where=f"line {number} of {file}", wanted=" or ".join(_KEYWORDS))
            if in_macro:
                break
    if keyword:
        raise InvalidConfig("malformed netrc", where=f"the end of {file}", wanted=f"what belongs to {keyword}")


def _words(line: str, *, where: str) -> Iterator[str]:
    place = 0
    while place < len(line):
        if line[place].isspace():
            place += 1
            continue
        match = _WORD.match(line, place)
        if match is None:
            raise InvalidConfig("malformed netrc", where=where, wanted="the other quotation mark")
        yield match[2] if match[1] is None else _ESCAPE.sub(r"\1", match[1])
        place = match.end()
