"""Strings as Go holds and shows them: always whole runes once decoded, and quoted as `%q` does."""

import re

SHOWN_LENGTH = 400
REPLACEMENT = "\ufffd"
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHORT = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def go_text(raw: bytes) -> str:
    """Bytes as a decoded Go string: every byte that belongs to no rune becomes one U+FFFD.

    `errors="replace"` would make one of several such bytes; `surrogateescape` keeps them apart.
    """
    return whole(raw.decode("utf-8", "surrogateescape"))


def whole(text: str) -> str:
    """`text` with each lone surrogate, and so each byte kept by `surrogateescape`, as U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub(REPLACEMENT, text)


def shown(text: str) -> str:
    """`text` for a sentence: whole up to a length that no honest one has, for errors are kept and printed."""
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}…"


def quoted(text: str) -> str:
    """`text` as Go's `%q` writes it (strconv.Quote): only for sentences, never for what is hashed."""
    return f'"{"".join(map(_quoted_rune, shown(text)))}"'


def _quoted_rune(rune: str) -> str:
    if rune in _SHORT:
        return _SHORT[rune]
    if rune.isprintable():
        return rune
    code = ord(rune)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
