"""GoPattern: regular expressions as Go reads them (golang.org/s/re2syntax), as ours, for the files of tools made in Go.

What both read alike goes over as it is. What Python would read otherwise is written in its way, or refused where it has
none. Nothing is taken that only Python knows: the tool would have refused it.
"""

import re

# How much of a pattern means the same as one piece: escapes, groups and repeats of both, and what stands for itself.
_ALIKE = re.compile(r"\\[AbBdDwWsSafnrt]|\\x[0-9A-Fa-f]{2}|\\[^A-Za-z0-9]|[*+?]\??(?![*+?])|[^\\\[({*+?]")
_GROUP = re.compile(r"\((?:\?(?P<named>P?<[A-Za-z_]\w*>)|\?(?P<flags>[ims]*(?:-[ims]+)?):|(?!\?))", re.ASCII)
_REPEAT = re.compile(r"\{[0-9]{1,4}(?:,[0-9]{0,4})?\}\??(?![*+?])")
_FLAGS = re.compile(r"\(\?([ims]+)\)")
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "digit": "0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
    "punct": r"!-/:-@\[-`{-~",
}
_IN_CLASS = re.compile(r"\[:(?P<name>\^?[a-z]+):\]|\\[dDwWsSafnrt]|\\x[0-9A-Fa-f]{2}|\\[^A-Za-z0-9]|(?P<plain>[^\\\]])")


def whole(text: str) -> re.Pattern[str]:
    """What `^text$` finds, to be matched against whole names: an alternative is bound to the start or to the end
    alone, unless it stands in parentheses. Raises ValueError, also for what cannot be told in our way.
    """
    flags, body = _read(text)
    plain = f"(?{flags}:{body})" if flags else body
    return _compile(plain if "|" not in body else f".*(?{flags}:^{body}$).*")


def anywhere(text: str) -> re.Pattern[str]:
    """What `text` finds anywhere in a name, to be matched against whole names. Raises ValueError."""
    flags, body = _read(text)
    bound = not flags and "|" not in body and body.startswith("^") and body.endswith("$") and body[-2:] != r"\$"
    return _compile(body[1:-1] if bound else f".*(?{flags}:{body}).*")


def _compile(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.ASCII)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error


def _read(text: str) -> tuple[str, str]:
    """The flags that stand before all of it, and the rest in our way."""
    flags = _FLAGS.match(text)
    rest = text[flags.end() :] if flags is not None else text
    pieces = []
    while rest:
        piece, taken = _piece(rest)
        pieces.append(piece)
        rest = rest[taken:]
    return flags[1] if flags is not None else "", "".join(pieces)


def _piece(rest: str) -> tuple[str, int]:
    """The next piece in our way, and how many characters of theirs it takes."""
    if rest.startswith("["):
        return _set(rest)
    if rest.startswith(r"\z"):
        return r"\Z", 2
    if (group := _GROUP.match(rest)) is not None:
        named = group["named"]
        return (f"(?P{named.removeprefix('P')}" if named else group[0]), group.end()
    if rest.startswith("{"):  # alone it stands for itself
        repeat = _REPEAT.match(rest)
        return (repeat[0], repeat.end()) if repeat is not None else (r"\{", 1)
    alike = _ALIKE.match(rest)
    if alike is None:
        raise ValueError(f"no regular expression that can be taken over, at {rest[:20]!r}")
    return alike[0], alike.end()


def _set(rest: str) -> tuple[str, int]:
    """`[…]`: classes by name are spelled out, and what Python may one day read otherwise is escaped."""
    place = 2 if rest.startswith("[^") else 1
    pieces = [rest[:place]]
    if rest.startswith("]", place):  # as the first it stands for itself
        pieces.append(r"\]")
        place += 1
    while not rest.startswith("]", place):
        match = _IN_CLASS.match(rest, place)
        if match is None or (match["name"] and match["name"] not in _CLASSES):
            raise ValueError(f"no set of characters that can be taken over, at {rest[place : place + 20]!r}")
        plain = match["plain"]
        pieces.append(_CLASSES[match["name"]] if match["name"] else f"\\{plain}" if plain in set("[&~|") else match[0])
        place = match.end()
    return "".join(pieces) + "]", place + 1
