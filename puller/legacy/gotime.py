"""RFC 3339 times as Go 1.5's time package parses and prints them, with the quotes of JSON around (LEGACY.md b.4)."""

import re
from dataclasses import dataclass
from typing import Final

from puller.errors import InvalidManifest
from puller.legacy.gotext import go_text, shown

LAYOUT: Final = '"2006-01-02T15:04:05Z07:00"'
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_OVERFLOW: Final = (2**63 - 10) // 10
_NANOSECOND_DIGITS: Final = 9
_PLAIN = re.compile(
    rb'"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])'
    rb'(?:\.([0-9]{1,9}))?Z"'
)
_DIGIT_RUN = re.compile("[0-9]+")
_DIGITS: Final = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class GoTime:
    """A moment as its own zone's clock shows it; `offset` in minutes east. The default is Go's zero time."""

    year: int = 1
    month: int = 1
    day: int = 1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    offset: int = 0

    @classmethod
    def parse(cls, raw: bytes) -> "GoTime":
        """Read the raw JSON token, escapes not undone. Raises InvalidManifest with Go's sentence."""
        # What Docker itself wrote, in months that have every day of it: the long way takes ten times as long.
        if plain := _PLAIN.fullmatch(raw):
            *whole, fraction = plain.groups(b"")
            year, month, day, hour, minute, second = map(int, whole)
            return cls(year, month, day, hour, minute, second, int(fraction.ljust(_NANOSECOND_DIGITS, b"0")))
        return _Parser(go_text(raw)).parse()

    def encode(self) -> bytes:
        """As Time.MarshalJSON: RFC 3339 with the fraction's trailing zeros cut."""
        if not 0 <= self.year <= 9999:
            sentence = "Time.MarshalJSON: year outside of range [0,9999]"
            raise InvalidManifest(f"json: error calling MarshalJSON for type time.Time: {sentence}")
        fraction = f".{self.nanosecond:09d}".rstrip("0") if self.nanosecond else ""
        clock = f"{self.hour:02d}:{self.minute:02d}:{self.second:02d}{fraction}"
        hours, minutes = divmod(abs(self.offset), 60)
        zone = f"{'-' if self.offset < 0 else '+'}{hours:02d}:{minutes:02d}" if self.offset else "Z"
        return f'"{self.year:04d}-{self.month:02d}-{self.day:02d}T{clock}{zone}"'.encode()


class _Bad(Exception):
    """The field at hand cannot be read; caught in this module."""


class _Parser:
    """time.Parse for the one layout; `_rest` is what its sentences quote."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._rest = text

    def parse(self) -> GoTime:
        self._mark('"')
        year = self._year()
        self._mark("-")
        month = self._number("01", "month", 1, 12)
        self._mark("-")
        day = self._number("02", "day", 0, 31)
        self._mark("T")
        hour = self._number("15", "hour", 0, 23, fixed=False)
        self._mark(":")
        minute = self._number("04", "minute", 0, 59)
        self._mark(":")
        second = self._number("05", "second", 0, 59)
        nanosecond = self._fraction()
        offset = self._zone()
        self._mark('"')
        if self._rest:
            raise InvalidManifest(f'parsing time "{shown(self._text)}": extra text: {shown(self._rest)}')
        return GoTime(*_normal(year, month, day), hour, minute, second, nanosecond, offset)

    def _mark(self, mark: str) -> None:
        if not self._rest.startswith(mark):
            raise self._cannot(mark)
        self._rest = self._rest[1:]

    def _year(self) -> int:
        if len(self._rest) < 4 or self._rest[0] not in _DIGITS:
            raise self._cannot("2006")
        text, self._rest = self._rest[:4], self._rest[4:]
        try:
            return _integer(text)
        except _Bad:
            raise self._cannot("2006") from None

    def _number(self, layout: str, name: str, lowest: int, highest: int, *, fixed: bool = True) -> int:
        """Two digits, or one where the layout's field is not `fixed`; an unreadable field counts as 0 first."""
        digits = 2 if _are_digits(self._rest[:2], 2) else int(not fixed and _are_digits(self._rest[:1], 1))
        value = int(self._rest[:digits] or "0")
        self._rest = self._rest[digits:]
        if not lowest <= value <= highest:
            raise self._out_of_range(name)
        if not digits:
            raise self._cannot(layout)
        return value

    def _fraction(self) -> int:
        if not (self._rest.startswith(".") and _are_digits(self._rest[1:2], 1)):
            return 0
        found = _DIGIT_RUN.match(self._rest, 1)
        digits = found[0] if found else ""
        self._rest = self._rest[1 + len(digits) :]
        try:
            value = _integer(digits)
        except _Bad:
            raise self._cannot("05") from None
        if value >= 10**9:
            raise self._out_of_range("fractional second")
        # More than nine digits that begin with zeros pass, and then count as nanoseconds: so did the original.
        return value * int(10 ** max(9 - len(digits), 0))

    def _zone(self) -> int:
        if self._rest.startswith("Z"):
            self._rest = self._rest[1:]
            return 0
        if len(self._rest) < 6 or self._rest[3] != ":":
            raise self._cannot("Z07:00")
        sign, hours, minutes = self._rest[0], self._rest[1:3], self._rest[4:6]
        self._rest = self._rest[6:]
        try:
            offset = _integer(hours) * 60 + _integer(minutes)
        except _Bad:
            raise self._cannot("Z07:00") from None
        if sign not in "+-":
            raise self._cannot("Z07:00")
        return -offset if sign == "-" else offset

    def _cannot(self, layout: str) -> InvalidManifest:
        text, rest = shown(self._text), shown(self._rest)
        return InvalidManifest(f'parsing time "{text}" as "{LAYOUT}": cannot parse "{rest}" as "{layout}"')

    def _out_of_range(self, name: str) -> InvalidManifest:
        return InvalidManifest(f'parsing time "{shown(self._text)}": {name} out of range')


def _are_digits(text: str, count: int) -> bool:
    return len(text) == count and all(c in _DIGITS for c in text)


def _integer(text: str) -> int:
    """The time package's atoi: a sign is taken, even within a zone."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    value = 0
    for digit in digits:
        if digit not in _DIGITS or value >= _OVERFLOW:
            raise _Bad
        value = value * 10 + int(digit)
    return -value if text[:1] == "-" else value


def _normal(year: int, month: int, day: int) -> tuple[int, int, int]:
    """A day of 0 to 31 that the month may not have: it runs over into the neighbour (30 February is 2 March)."""
    if day == 0:
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
        return year, month, _length(year, month)
    length = _length(year, month)
    return (year, month, day) if day <= length else (year, month + 1, day - length)


def _length(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _DAYS[month - 1] + leap
