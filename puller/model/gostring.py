"""A string in JSON as Go wrote it in 2015: what image IDs are hashes of, and what lines of tar-split are made of."""

import re
from typing import Final

_UNSAFE: Final = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029\ud800-\udfff]')
_UNSAFE_ASCII: Final = re.compile('[\x00-\x1f"\\\\<>&]')  # found several times as fast
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}  # Go 1.5; \b and \f came with 1.22


def quote(text: str) -> bytes:
    """A string as json.Marshal of Go 1.5 writes it; lone surrogates stand for bytes that are no UTF-8."""
    unsafe = _UNSAFE_ASCII if text.isascii() else _UNSAFE
    return b'"' + unsafe.sub(_escape, text).encode("utf-8") + b'"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return "\\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"
