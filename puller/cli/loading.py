"""Loading: what `puller load` and `puller import` do with their words."""

import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import click

from puller.cli import interrupt
from puller.cli.environment import host_platform, processors
from puller.cli.lines import size_text
from puller.cli.naming import short_names
from puller.cli.rooms import open_store
from puller.cli.screen import JSON_INTERVAL, PLAIN_INTERVAL, Style
from puller.errors import InvalidConfig, LayerError, VerificationError
from puller.model.digest import Digest
from puller.model.platform import Platform
from puller.model.text import printable
from puller.ops.graphs.graph import graph_of
from puller.ops.importing import Wanted, import_image
from puller.ops.load import load
from puller.ops.loading.news import Landed, News, Progress, Registered, Said, Stored
from puller.store.disk import DiskStore

_STDIN = 0
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Import:
    """The words of one `puller import`."""

    source: str
    reference: str | None
    message: str = ""
    platform: str | None = None
    digest: str | None = None
    ca: Path | None = None
    proxy: str | None = None


def load_one(source: str, *, store: Path | None, graph: Path | None, retag: bool, style: Style, quiet: bool) -> int:
    """Load one archive; the exit code. Ctrl-C leaves nothing of it. `quiet`: nothing is told while it goes on."""
    told = Told("loaded", style, quiet=quiet)

    async def main() -> None:
        with opened(source) as fd, _blamed(source):
            place = await open_store(store)
            with graph_of(place, graph, workers=processors()) as images:
                await load(fd, images, retag=retag, hear=told.hear)

    told.run(main)
    return 0


def import_one(order: Import, *, store: Path | None, graph: Path | None, style: Style, quiet: bool) -> int:
    """Import one archive; the exit code. Ctrl-C leaves nothing of it. `quiet`: nothing is told while it goes on."""
    told = Told("imported", style, quiet=quiet)
    if _SCHEME.match(order.source) and not _is_web(order.source):
        raise InvalidConfig("the archive cannot be fetched", where=order.source, wanted="only http and https")
    wanted = Wanted(
        platform=host_platform() if order.platform is None else Platform.parse(order.platform),
        origin=_origin(order.source),
        message=order.message,
        digest=_digest(order.digest),
        reference=None if order.reference is None else short_names().one(order.reference),
    )

    async def main() -> None:
        place = await open_store(store)
        async with _fetched(order, place, told) as fd:
            with (
                _blamed(wanted.origin if _is_web(order.source) else order.source),
                graph_of(place, graph, workers=processors()) as images,
            ):
                await import_image(fd, images, wanted, hear=told.hear)

    told.run(main)
    return 0


@contextmanager
def opened(source: str) -> Iterator[int]:
    """The descriptor of what is called `source`; stdin is `-`. Raises InvalidConfig."""
    if source == "-":
        if sys.stdin.isatty():
            raise InvalidConfig("no archive comes from a terminal", hint="Redirect stdin, or name a file.")
        yield _STDIN
        return
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidConfig("the archive cannot be opened", where=source, got=error.strerror) from error
    try:
        if Path(source).is_dir():
            raise InvalidConfig("the archive cannot be opened", where=source, got="a directory")
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _blamed(source: str) -> Iterator[None]:
    """Says of what is wrong with an archive in which file that is."""
    try:
        yield
    except (LayerError, VerificationError) as error:
        error.where = source if error.where is None else f"{source}: {error.where}"
        raise


def _is_web(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


@asynccontextmanager
async def _fetched(order: Import, store: DiskStore, told: "Told") -> AsyncIterator[int]:
    """The same of what may lie on the web: that is written to a file without a name first."""
    if not _is_web(order.source):
        with opened(order.source) as fd:
            yield fd
        return
    from puller.archive.spool import Bounds, FileSink, nameless
    from puller.cli.registries import known_proxies
    from puller.registry.web import web_file  # it takes longer to load than many an archive

    if order.digest is None:
        told.note(f"warning: not verified: no digest was given for {_origin(order.source)}")
    bounds = Bounds()
    with nameless(store.layout.ingests) as fd:
        sink, size = FileSink(fd, bounds), 0
        proxies = known_proxies(order.proxy, ca=order.ca)
        async with web_file(order.source, ca_file=order.ca, limit=bounds.size, proxies=proxies) as body:
            async for chunk in body:
                await store.worker.run(sink.write, chunk)
                size += len(chunk)
                told.hear(Progress("fetched", size, None))
        yield fd


def _origin(source: str) -> str:
    """Where the content is from, as it may be told."""
    if _is_web(source):
        from puller.registry.web import shown

        return shown(source)
    return source if source == "-" else printable(Path(source).name)


def _digest(text: str | None) -> Digest | None:
    try:
        return None if text is None else Digest.parse(text)
    except ValueError as error:
        raise InvalidConfig("--digest is no digest", got=repr(text)[:160], wanted="sha256:…") from error


class Told:
    """Shows the news of a load: results on stdout, all else on stderr; what moves on one live line, or now and then."""

    def __init__(
        self,
        verb: str,
        style: Style,
        *,
        quiet: bool = False,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verb = verb
        self._style = style
        self._is_quiet = quiet or style == "quiet"
        self._out = out or sys.stderr
        self._live = style == "people" and self._out.isatty()
        self._clock = clock
        self._shown = float("-inf") if style == "json" else clock()

    def hear(self, news: News) -> None:
        """Show one."""
        if isinstance(news, Progress):
            self._progress(news)
        elif self._style == "json":
            click.echo(json.dumps(_plain(news, self._verb)))
        elif isinstance(news, Landed):
            self._clear()
            name = printable(news.name or "-")
            click.echo(f"{name}  {news.image_id}" if self._is_quiet else f"{self._verb} {name} {news.image_id}")
        elif isinstance(news, Said):
            self.note(news.text)
        elif self._style == "people" and not self._live:
            self._row(news)

    def note(self, text: str) -> None:
        """A line for people."""
        self._clear()
        click.echo(printable(text, limit=len(text)), err=True)

    def _row(self, news: Registered | Stored) -> None:
        short = news.image_id[:12] if isinstance(news, Registered) else news.digest.short
        what = "image" if isinstance(news, Registered) else "blob"
        self.note(f"{what:<9} {short}  {'loaded' if news.is_new else 'here already'}")

    def _progress(self, news: Progress) -> None:
        if self._is_quiet:
            return
        interval = JSON_INTERVAL if self._style == "json" or self._live else PLAIN_INTERVAL
        now = self._clock()
        if now - self._shown < interval:
            return
        self._shown = now
        if self._style == "json":
            click.echo(json.dumps(_plain(news, self._verb)))
            return
        of = "" if news.size is None else f" of {size_text(news.size)}"
        line = f"{news.what}  {size_text(news.done)}{of} read"
        self._out.write(f"\r\x1b[K{line}" if self._live else f"{line}\n")
        self._out.flush()

    def _clear(self) -> None:
        if self._live:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `main` to its end."""
        try:
            interrupt.run(main, warn=self.note, left="nothing of it was kept")
        finally:
            self._clear()


def _plain(news: News, verb: str) -> dict[str, Any]:
    event = verb if isinstance(news, Landed) else type(news).__name__.lower()
    facts = asdict(news)
    if isinstance(news, Stored):
        facts["digest"] = str(news.digest)
    return {"event": event} | facts
