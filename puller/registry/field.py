"""FieldReader: one header line, read by the words of RFC 9110 §5.6 (token, quoted-string, optional whitespace).

What the words mean is told by the modules that read with it: `challenge` and `headers`.
"""

import re
from collections.abc import Sequence

from puller.errors import ProtocolViolation

MAX_LINE = 8192  # characters; what common servers allow for one header line
# Control characters; and lone surrogates, as which bytes that are no UTF-8 come: nothing can send them on.
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")
_SPACE = re.compile(r"[ \t]*")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NAME = re.compile(rf"({_TOKEN.pattern})[ \t]*=[ \t]*")
_QUOTED = re.compile(r'"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*)"')
_PAIR = re.compile(r"\\(.)", re.DOTALL)


class FieldReader:
    """A cursor over one header line. Every failure is a ProtocolViolation that names the header and the place."""

    def __init__(self, name: str, line: str) -> None:
        self._name = name
        self._line = line
        self._at = 0
        if len(line) > MAX_LINE:
            raise ProtocolViolation(f"{name} header too long", wanted=f"at most {MAX_LINE} characters", got=len(line))
        if _UNFIT.search(line):
            raise ProtocolViolation(f"malformed {name} header", wanted="text without control characters, in UTF-8")

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._line)

    def skip(self) -> bool:
        """Pass optional whitespace; whether there was any."""
        start = self._at
        return self.take(_SPACE) is not None and self._at > start

    def accept(self, character: str) -> bool:
        """Pass `character` if it comes next."""
        found = self._line.startswith(character, self._at)
        self._at += found
        return found

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """Pass what `pattern` matches here and return its first group, or all of it; None and no move without one."""
        match = pattern.match(self._line, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[1] if match.re.groups else match[0]

    def token(self) -> str:
        """Pass a token (§5.6.2)."""
        token = self.take(_TOKEN)
        if token is None:
            raise self.broken("a word")
        return token

    def name(self) -> str | None:
        """Pass `token =`, the space around the equals sign included; None and no move where that does not come."""
        return self.take(_NAME)

    def value(self) -> str:
        """Pass a token or a quoted-string (§5.6.4) and return what it stands for."""
        quoted = self.take(_QUOTED)
        return self.token() if quoted is None else _PAIR.sub(r"\1", quoted)

    def broken(self, wanted: str) -> ProtocolViolation:
        """The error for finding something else than `wanted` here."""
        return ProtocolViolation(f"malformed {self._name} header", where=f"character {self._at}", wanted=wanted)


def only_one(name: str, values: Sequence[str]) -> str | None:
    """The one value of a header that may be repeated only unchanged; None without any. Raises ProtocolViolation."""
    distinct = {value.strip(" \t") for value in values}
    if len(distinct) > 1:
        raise ProtocolViolation(f"{len(distinct)} different {name} headers", wanted="one")
    return distinct.pop() if distinct else None
