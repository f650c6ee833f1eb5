"""Options that several verbs share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
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


def graph_option(function: F) -> F:
    """`--graph DIR`."""
    return click.option(
        "--graph",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="The root of a Docker of 1.8 or 1.9, as /var/lib/docker; else the store's own image graph.",
    )(function)


def platform_option(function: F) -> F:
    """`--platform OS/ARCH`, one only."""
    return click.option("--platform", metavar="OS/ARCH", help="Of an index; else linux/<host>.")(function)


def driver_option(function: F) -> F:
    """`--driver NAME`."""
    return click.option(
        "--driver",
        type=click.Choice(("overlay", "vfs")),
        help="How unpacked layers are kept; else overlay, and vfs where that cannot be.",
    )(function)


@dataclass(frozen=True, slots=True)
class Access:
    """How registries are spoken to, as the command line says it."""

    plain_http: tuple[str, ...] = ()
    ca: Path | None = None
    token_hosts: tuple[str, ...] = ()


def registry_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--plain-http`, `--ca` and `--token-host`, given to the function as `access`."""

    @click.option(
        "--plain-http",
        multiple=True,
        metavar="HOST:PORT",
        help="Speak plain HTTP to this registry, with credentials where it asks for them; may be repeated.",
    )
    @click.option(
        "--ca",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Trust the certificate authorities of this PEM file, and no others.",
    )
    @click.option(
        "--token-host",
        multiple=True,
        metavar="HOST",
        help="Trust this token server with a registry's credentials; may be repeated.",
    )
    @wraps(function)
    def with_access(
        *arguments: Any, plain_http: tuple[str, ...], ca: Path | None, token_host: tuple[str, ...], **words: Any
    ) -> Any:
        return function(*arguments, access=Access(plain_http, ca, token_host), **words)

    return with_access


@dataclass(frozen=True, slots=True)
class Where:
    """Where an image's tree is to be had from, as the command line says it."""

    store: Path | None
    platform: str | None
    driver: str | None
    access: Access
    graph: Path | None = None


def where_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--platform`, `--store`, `--graph`, `--driver` and those of registries, given to the function as `where`."""

    @platform_option
    @store_option
    @graph_option
    @driver_option
    @registry_options
    @wraps(function)
    def with_where(
        *arguments: Any,
        store: Path | None,
        platform: str | None,
        driver: str | None,
        access: Access,
        graph: Path | None,
        **words: Any,
    ) -> Any:
        return function(*arguments, where=Where(store, platform, driver, access, graph), **words)

    return with_where
