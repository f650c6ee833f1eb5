"""Options that several verbs share."""

from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Any)


def store_option(function: F) -> F:
    """`--store DIR`."""
    return click.option(
        "--store",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="The store; else $PULLER_STORE, else $XDG_DATA_HOME/puller.",
    )(function)


def registry_options(function: F) -> F:
    """`--plain-http HOST:PORT` and `--ca FILE`."""
    function = click.option(
        "--ca",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Trust the certificate authorities of this PEM file, and no others.",
    )(function)
    return click.option(
        "--plain-http",
        multiple=True,
        metavar="HOST:PORT",
        help="Speak plain HTTP to this registry, with credentials where it asks for them; may be repeated.",
    )(function)
