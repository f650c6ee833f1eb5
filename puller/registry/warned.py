"""Warned: what a registry says in `Warning` headers, told to the user once each (distribution-spec 1.1, "Warnings").

Nothing is done because of them. What caches on the way add, by other codes or under a name, is not the registry's.
"""

import logging
import re
from collections.abc import Iterator, Sequence

_LOG = logging.getLogger(__name__)
MAX_BYTES = 4096  # of all the headers of one answer together, by the specification; the rest is not read
MAX_TOLD = 16  # texts of one registry: one that makes up a new one for every answer is cut off
_WARNING = re.compile(r'299[ \t]+-[ \t]+"((?:[^"\\]|\\.)*)"')
_PAIR = re.compile(r"\\(.)", re.DOTALL)


class Warnings:
    """Of one registry."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._told: set[str] = set()

    def hear(self, lines: Sequence[str]) -> None:
        """Tell what is new in the `Warning` lines of an answer. Never raises: what is malformed says nothing."""
        for text in texts_of(lines):
            if text in self._told or len(self._told) >= MAX_TOLD:
                continue
            self._told.add(text)
            _LOG.warning("%s says: %s", self._host, text)


def texts_of(lines: Sequence[str]) -> Iterator[str]:
    """The texts that the registry itself has written: code 299, agent `-`. A line may hold several."""
    left = MAX_BYTES
    for line in lines:
        for match in _WARNING.finditer(line[:left]):
            yield _PAIR.sub(r"\1", match[1]).strip()
        left -= min(left, len(line))
