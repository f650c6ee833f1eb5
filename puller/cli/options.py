"""Options that several verbs share."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from puller.cli.quantities import Bytes, Seconds

F = TypeVar("F", bound=Any)
MAX_WAIT = 15 * 60.0
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


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
    """How registries are spoken to, as the command line says it.

    `limit_rate` is in bytes per second, `request_rate` in requests per second and host, `max_wait` in seconds.
    """

    plain_http: tuple[str, ...] = ()
    ca: Path | None = None
    token_hosts: tuple[str, ...] = ()
    authfile: Path | None = None
    netrc: bool = False
    proxy: str | None = None
    mirrors: bool = True
    limit_rate: int | None = None
    request_rate: float | None = None
    connections: int | None = None
    max_wait: float = MAX_WAIT
    debug: bool = False


def registry_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of registries, given to the function as `access`."""

    @click.option(
        "--plain-http",
        multiple=True,
        metavar="HOST:PORT",
        help="Speak plain HTTP to this registry, with credentials where it asks for them; may be repeated.",
    )
    @click.option("--ca", type=_FILE, metavar="FILE", help="Trust the certificate authorities of this PEM file, too.")
    @click.option(
        "--token-host",
        "token_hosts",
        multiple=True,
        metavar="HOST",
        help="Trust this token server with a registry's credentials; may be repeated.",
    )
    @click.option(
        "--authfile",
        type=click.Path(dir_okay=False, path_type=Path),  # `login` makes it
        metavar="FILE",
        help="Credentials from this file, of docker's form, and no other.",
    )
    @click.option("--netrc", is_flag=True, help="Credentials from $NETRC or ~/.netrc where there are no others.")
    @click.option(
        "--proxy",
        metavar="URL|env",
        help="Go through this proxy (http, socks5, socks5h), or those that $HTTPS_PROXY… name.",
    )
    @click.option("--mirrors/--no-mirrors", default=True, help="Use the mirrors that are set up on this machine.")
    @click.option(
        "--limit-rate",
        type=Bytes(),
        metavar="BYTES",
        help="Bytes per second of all transfers together, as in 10M.",
    )
    @click.option(
        "--request-rate", type=click.FloatRange(0, min_open=True), metavar="N", help="Requests per second to one host."
    )
    @click.option("--connections", type=click.IntRange(1, 64), metavar="N", help="Connections to one host.")
    @click.option(
        "--max-wait",
        type=Seconds(),
        default=MAX_WAIT,
        metavar="TIME",
        help="Longest wait for a quota to open, as in 90s, 15m or 6h; else 15m.",
    )
    @click.option("--debug", is_flag=True, help="Tell every request on stderr, without secrets.")
    @wraps(function)
    def with_access(*arguments: Any, **words: Any) -> Any:
        access = Access(**{field.name: words.pop(field.name) for field in fields(Access)})
        return function(*arguments, access=access, **words)

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
