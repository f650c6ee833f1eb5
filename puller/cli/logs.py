"""Logs: what the program logs as a warning, shown as one, escaped like all text from outside (THREATS C22)."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import click

from puller.model.text import printable

Show: TypeAlias = Callable[[str], object]


def on_stderr(line: str) -> None:
    """Show a line on stderr."""
    click.echo(line, err=True)


def unheard_of(line: str) -> None:
    """Show nothing."""


@contextmanager
def shown(show: Show = on_stderr) -> Iterator[None]:
    """Show the warnings of this package by `show` for the length of the block, each once."""
    logger, handler = logging.getLogger("puller"), _Once(show)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Once(logging.Handler):
    def __init__(self, show: Show) -> None:
        super().__init__(logging.WARNING)
        self._show = show
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = f"warning: {printable(record.getMessage())}"
        if line not in self._told:
            self._told.add(line)
            self._show(line)
