"""Options that several verbs share."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from puller.cli import completing
from puller.cli.quantities import Bytes, Seconds

if TYPE_CHECKING:
    from puller.cli.screen import Style

F = TypeVar("F", bound=Any)
Options: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]
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
    return click.option(
        "--platform", metavar="OS/ARCH", shell_complete=completing.platforms, help="Of an index; else linux/<host>."
    )(function)


def driver_option(function: F) -> F:
    """`--driver NAME`."""
    return click.option(
        "--driver",
        type=click.Choice(("overlay", "vfs")),
        help="How unpacked layers are kept; else overlay, and vfs where that cannot be.",
    )(function)


def jobs_option(function: F) -> F:
    """`--jobs N`."""
    return click.option("--jobs", type=click.IntRange(1, 64), default=3, show_default=True, help="Blobs at a time.")(
        function
    )


def platforms_option(help: str) -> Options:  # noqa: A002  # click's word
    """`--platform OS/ARCH`, any number, given to the function as `platforms`."""
    return click.option(
        "--platform", "platforms", multiple=True, metavar="OS/ARCH", shell_complete=completing.platforms, help=help
    )


def report_option(help: str) -> Options:  # noqa: A002  # click's word
    """`--report FILE`."""
    return click.option("--report", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=help)


def style_options(*, json: str = "Print events as JSON, one a line.", quiet: str, exclusive: bool = True) -> Options:
    """`--json` and `--quiet`, given to the function as `style`; `json` and `quiet` are their help.

    `exclusive`: both together are refused; else `--json` comes first.
    """

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("--json", "as_json", is_flag=True, help=json)
        @click.option("--quiet", "-q", is_flag=True, help=quiet)
        @wraps(function)
        def with_style(*arguments: Any, as_json: bool, quiet: bool, **words: Any) -> Any:
            if exclusive and as_json and quiet:
                raise click.UsageError("--json and --quiet exclude each other")
            style: Style = "json" if as_json else "quiet" if quiet else "people"
            return function(*arguments, style=style, **words)

        return with_style

    return decorated


@dataclass(frozen=True, slots=True)
class Access:
    """How registries are spoken to, as the command line says it.

    `limit_rate` is in bytes per second, `request_rate` in requests per second and host, `max_wait` in seconds; None: as
    a client has it.
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
    max_wait: float | None = None
    debug: bool = False


class RegistryOption(click.Option):
    """One of the options that say how registries are spoken to: the same for every verb that speaks to any."""


class Verb(click.Command):
    """A verb whose help shows its own options first, then those of registries as a section of theirs."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                (shared if isinstance(parameter, RegistryOption) else own).append(record)
        for title, records in (("Options", own), ("Registries", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


_registry_option = partial(click.option, cls=RegistryOption)


def registry_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of registries, given to the function as `access`."""

    @_registry_option(
        "--plain-http",
        multiple=True,
        shell_complete=completing.registries,
        metavar="HOST:PORT",
        help="Speak plain HTTP to this registry, with credentials where it asks for them; may be repeated.",
    )
    @_registry_option(
        "--ca", type=_FILE, metavar="FILE", help="Trust the certificate authorities of this PEM file, too."
    )
    @_registry_option(
        "--token-host",
        "token_hosts",
        multiple=True,
        metavar="HOST",
        help="Trust this token server with a registry's credentials; may be repeated.",
    )
    @_registry_option(
        "--authfile",
        type=click.Path(dir_okay=False, path_type=Path),  # `login` makes it
        metavar="FILE",
        help="Credentials from this file, of docker's form, and no other.",
    )
    @_registry_option("--netrc", is_flag=True, help="Credentials from $NETRC or ~/.netrc where there are no others.")
    @_registry_option(
        "--proxy",
        metavar="URL|env",
        help="Go through this proxy (http, socks5, socks5h), or those that $HTTPS_PROXY… name.",
    )
    @_registry_option("--mirrors/--no-mirrors", default=True, help="Use the mirrors that are set up on this machine.")
    @_registry_option(
        "--limit-rate",
        type=Bytes(),
        metavar="BYTES",
        help="Bytes per second of all transfers together, as in 10M.",
    )
    @_registry_option(
        "--request-rate", type=click.FloatRange(0, min_open=True), metavar="N", help="Requests per second to one host."
    )
    @_registry_option("--connections", type=click.IntRange(1, 64), metavar="N", help="Connections to one host.")
    @_registry_option(
        "--max-wait",
        type=Seconds(),
        metavar="TIME",
        help="Longest wait for a quota to open, as in 90s, 15m or 6h; else 15m.",
    )
    @_registry_option("--debug", is_flag=True, help="Tell every request on stderr, without secrets.")
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


def state_option(help: str) -> Options:  # noqa: A002  # click's word
    """`--state DIR`: the folder of what syncs remember; `help` says which one it is without it."""
    return click.option("--state", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help=help)


def destination_options(function: F) -> F:
    """`--to PLACE` and `--scoped`: where the images of skopeo's files go, which do not say it."""
    scoped = click.option("--scoped", is_flag=True, help="Of skopeo's files: with the source's whole name behind that.")
    to = click.option("--to", metavar="PLACE", help="Of skopeo's files: where to, HOST/PATH or oci:DIR.")
    return to(scoped(function))


def locked_option(function: F) -> F:
    """`--locked FILE`."""
    return click.option(
        "--locked",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Only what this lock file has, by the digests there.",
    )(function)
