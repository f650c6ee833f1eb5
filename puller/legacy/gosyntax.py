"""Where JSON breaks Go's grammar, in the words of encoding/json. Only asked once a text is known to be broken."""

import re

from puller.legacy.gotext import quoted

END = "unexpected end of JSON input"
_SPACE = b" \t\r\n"
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_DIGITS = re.compile(rb"[0-9]*")
_LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_HEX = b"0123456789abcdefABCDEF"


class _Fault(Exception):
    """The sentence to say; caught in this module."""


def syntax_error(raw: bytes, *, trailing: bool = True) -> str | None:
    """The sentence of encoding/json about the first fault of `raw`; None where it is well-formed.

    With `trailing` false whatever follows the first value is none of its business, as for a stream's reader.
    """
    try:
        _Scanner(raw).document(trailing=trailing)
    except _Fault as fault:
        return str(fault)
    return None


class _Scanner:
    """Go's scanner with its own stack, so that no nesting is too deep for it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0
        self._closers: list[int] = []

    def document(self, *, trailing: bool) -> None:
        self._value()
        while self._closers:
            self._next_in_container()
        if trailing and (byte := self._after_space()) is not None:
            raise self._fault(byte, "after top-level value")

    def _value(self) -> None:
        while self._opens():
            pass

    def _opens(self) -> bool:
        """Go over a scalar, an empty container, or the opening of one up to its first value: then True."""
        byte = self._need()
        if byte not in b"{[":
            self._scalar(byte)
            return False
        self._closers.append(ord("}") if byte == ord("{") else ord("]"))
        self._at += 1
        if self._need() == self._closers[-1]:
            self._close()
            return False
        if byte == ord("{"):
            self._key()
        return True

    def _next_in_container(self) -> None:
        byte = self._need()
        closer = self._closers[-1]
        if byte == closer:
            self._close()
        elif byte != ord(","):
            raise self._fault(byte, "after array element" if closer == ord("]") else "after object key:value pair")
        else:
            self._at += 1
            if closer == ord("}"):
                self._key()
            self._value()

    def _key(self) -> None:
        byte = self._need()
        if byte != ord('"'):
            raise self._fault(byte, "looking for beginning of object key string")
        self._string()
        byte = self._need()
        if byte != ord(":"):
            raise self._fault(byte, "after object key")
        self._at += 1

    def _close(self) -> None:
        self._closers.pop()
        self._at += 1

    def _scalar(self, byte: int) -> None:
        if byte == ord('"'):
            self._string()
        elif byte in b"-0123456789":
            self._number()
        elif byte in _LITERALS:
            self._literal(_LITERALS[byte])
        else:
            raise self._fault(byte, "looking for beginning of value")

    def _string(self) -> None:
        self._at += 1
        while True:
            found = _PLAIN.match(self._raw, self._at)
            self._at = found.end() if found else self._at
            byte = self._here()
            self._at += 1
            if byte == ord('"'):
                return
            if byte != ord("\\"):
                raise self._fault(byte, "in string literal")
            self._escape()

    def _escape(self) -> None:
        byte = self._here()
        self._at += 1
        if byte in b'bfnrt\\/"':
            return
        if byte != ord("u"):
            raise self._fault(byte, "in string escape code")
        for _ in range(4):
            byte = self._here()
            self._at += 1
            if byte not in _HEX:
                raise self._fault(byte, "in \\u hexadecimal character escape")

    def _number(self) -> None:
        if self._here() == ord("-"):
            self._at += 1
        if self._here() == ord("0"):
            self._at += 1
        else:
            self._digits("in numeric literal")
        if self._peek() == ord("."):
            self._at += 1
            self._digits("after decimal point in numeric literal")
        if self._peek() in (ord("e"), ord("E")):
            self._at += 1
            if self._here() in b"+-":
                self._at += 1
            self._digits("in exponent of numeric literal")

    def _digits(self, context: str) -> None:
        byte = self._here()
        if byte not in b"0123456789":
            raise self._fault(byte, context)
        found = _DIGITS.match(self._raw, self._at)
        self._at = found.end() if found else self._at

    def _literal(self, word: bytes) -> None:
        for expected in word:
            byte = self._here()
            if byte != expected:
                raise self._fault(byte, f"in literal {word.decode()} (expecting '{chr(expected)}')")
            self._at += 1

    def _after_space(self) -> int | None:
        while self._at < len(self._raw) and self._raw[self._at] in _SPACE:
            self._at += 1
        return self._peek()

    def _peek(self) -> int | None:
        return self._raw[self._at] if self._at < len(self._raw) else None

    def _need(self) -> int:
        byte = self._after_space()
        if byte is None:
            raise _Fault(END)
        return byte

    def _here(self) -> int:
        byte = self._peek()
        if byte is None:
            raise _Fault(END)
        return byte

    def _fault(self, byte: int, context: str) -> _Fault:
        # The scanner took each byte for a rune of its own, whatever character it was part of.
        shown = {ord("'"): "'\\''", ord('"'): "'\"'"}.get(byte) or f"'{quoted(chr(byte))[1:-1]}'"
        return _Fault(f"invalid character {shown} {context}")
