"""Text that came from outside, made safe to show.

Registry messages, tags and labels may carry escape sequences that rewrite a terminal or split a log line (THREATS C22).
"""

SHOWN_LENGTH = 400


def printable(text: str, *, limit: int = SHOWN_LENGTH) -> str:
    """Return `text` with every character a terminal could act on written as an escape, cut at `limit` characters."""
    shown = text if len(text) <= limit else text[:limit] + "…"
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else _escaped(c) for c in shown)


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
