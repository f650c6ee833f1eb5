"""Screen: shows a pull to whoever looks: a terminal, a log, a program, or nobody.

Results go to stdout, everything else to stderr, so that a pipe gets results only.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias

import click

from puller.cli.failure import text_of
from puller.cli.lines import blob_line, image_line, pulled_line, size_text, waiting_line
from puller.cli.placenames import named, placename
from puller.cli.pushlines import copied_line, delivered_line, pushed_line
from puller.cli.synclines import failed_line, hints, item_line, mirrored_line, stumbled_line, synced_line
from puller.errors import PullerError
from puller.model.digest import Digest
from puller.model.event import (
    Advanced,
    Copied,
    Delivered,
    Event,
    Mirrored,
    PassedOver,
    Planned,
    Pulled,
    Pushed,
    Registered,
    Retrying,
    Settled,
    Started,
    Stumbled,
    Subject,
    Synced,
    Traced,
    Unpacking,
    Verified,
    Waiting,
    Warned,
)
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.model.sync import Item
from puller.model.text import printable

Style: TypeAlias = Literal["people", "json", "quiet"]
PLAIN_INTERVAL = 5.0  # seconds between two progress lines where there is no terminal
FLOW_INTERVAL = 60.0  # the same where a line tells of a whole image, as in syncs
JSON_INTERVAL = 0.2  # seconds between two progress events of one blob


class Screen(Protocol):
    """Shows events. Entering and leaving it draws and removes what is live."""

    def show(self, event: Event) -> None:
        """Show one event."""
        ...

    def flow(self, event: Event) -> None:
        """Show of a blob no more than that it flows: nothing that stays."""
        ...

    def problem(self, error: PullerError) -> None:
        """Show an error."""
        ...

    def note(self, text: str) -> None:
        """Show a line."""
        ...

    def result(self, line: str) -> None:
        """Print a result."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def screen_for(style: Style, *, several: bool) -> Screen:
    """The screen for `style`; bars only where stderr is a terminal."""
    if style == "json":
        return JsonLines()
    if style == "quiet":
        return Quiet()
    if sys.stderr.isatty():
        from puller.cli.bars import Bars

        return Bars(several=several)
    return Plain(several=several)


class Quiet:
    """Only what was pulled, and what failed."""

    def __init__(self) -> None:
        self._held: set[tuple[str, str, str]] = set()
        self._hinted: set[str] = set()

    def show(self, event: Event) -> None:
        if isinstance(event, Traced):
            self.note(wire_line(event))
        elif isinstance(event, Pulled | Pushed):
            click.echo(f"{event.reference}  {event.report.digest}")
        elif isinstance(event, Copied):
            click.echo(f"{printable(event.report.target, limit=2000)}  {event.report.root}")
        elif isinstance(event, Settled | Stumbled):
            self._synced(event)

    def _synced(self, event: Settled | Stumbled | Mirrored | Synced) -> None:
        """One tag of a sync that is not as it was: a result; or what failed, and how far it is."""
        match event:
            case Settled() if event.item.error is not None:
                self._failed(failed_line(event.item), event.item.error)
            case Settled() if event.item.action in ("waiting", "kept"):
                self._stayed(event.item)
            case Settled():
                if line := item_line(event.item):
                    self.result(line)
            case Stumbled():
                self._failed(stumbled_line(event.source, event.error), event.error)
            case Mirrored():
                self.note(mirrored_line(event))
            case Synced():
                self.note(synced_line(event.report))

    def _failed(self, line: str, error: Mapping[str, object]) -> None:
        """What failed, and what to do about it: where thousands want the same, once."""
        self.note(line)
        for hint in hints([error]):
            if hint not in self._hinted:
                self._hinted.add(hint)
                self.note(f"{'':10}{hint}")

    def _stayed(self, item: Item) -> None:
        """One of the tags that were not pruned: of thousands for one reason the sums tell."""
        reason = item.target, item.action, item.why
        if reason not in self._held and (line := item_line(item)):
            self.result(line)
        self._held.add(reason)

    def flow(self, event: Event) -> None:
        return None

    def problem(self, error: PullerError) -> None:
        click.echo(text_of(error), err=True)

    def note(self, text: str) -> None:
        click.echo(text, err=True)

    def result(self, line: str) -> None:
        """Print a result."""
        click.echo(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Told(Quiet):
    """What plain lines and bars have in common: the lines that stay."""

    def __init__(self, *, several: bool) -> None:
        super().__init__()
        self._several = several
        self._early: dict[Subject, list[Verified]] = {}
        self._planned: set[Subject] = set()
        self.images: dict[Digest, str] = {}  # whose blobs flow in a sync: its lines tell of images alone

    def show(self, event: Event) -> None:
        match event:
            case Planned():
                self.note(header_line(event))
                self._planned.add(event.reference)
                for early in self._early.pop(event.reference, []):
                    self._finished(early)
            case Verified() if event.reference in self._planned:
                self._finished(event)
            case Verified():  # documents come before the plan; their lines belong under its header
                self._early.setdefault(event.reference, []).append(event)
            case Registered():
                self.note(self._prefix(event.reference) + image_line(event.image))
            case Warned():
                about = str(event.reference)
                is_told = event.text.startswith((f"{about} ", f"{about}:", f"{about}@"))
                self.note(f"warning: {printable(event.text)}" + ("" if is_told else f" ({placename(about)})"))
            case Retrying() | Waiting() | PassedOver() | Traced():
                self.note(wire_line(event))
            case Pulled():
                self._pulled(event)
            case Delivered():
                self.note(
                    self._prefix(event.reference) + delivered_line(event.blob, copied=isinstance(event.reference, str))
                )
            case Pushed() | Copied():
                self.result(pushed_line(event.report) if isinstance(event, Pushed) else copied_line(event.report))
            case Settled() | Stumbled() | Mirrored() | Synced():
                self._synced(event)
            case _:
                self.progress(event)

    def progress(self, event: Event) -> None:
        """Show what changes all the time."""

    def flow(self, event: Event) -> None:
        match event:
            case Planned():
                self.images |= {descriptor.digest: str(event.reference) for _, descriptor in event.steps}
            case Started() | Advanced():
                self.flowing(event)
            case Delivered():
                self._passed(Digest.parse(event.blob.digest))
            case Settled():  # what failed is not delivered
                image = named(event.item.target, event.item.name)
                for digest in [digest for digest, name in self.images.items() if name == image]:
                    self._passed(digest)

    def flowing(self, event: Started | Advanced) -> None:
        """Show that a blob flows, if at all in a way that passes."""

    def gone(self, digest: Digest) -> None:
        """Take away what was shown of a blob that flows no more."""

    def _passed(self, digest: Digest) -> None:
        self.gone(digest)
        self.images.pop(digest, None)

    def _pulled(self, event: Pulled) -> None:
        self.result(pulled_line(event.report))
        if event.report.status:
            self.note(f"Status: {event.report.status}")

    def _finished(self, event: Verified) -> None:
        is_signed = any(check.name == "signature" for check in event.blob.checks)
        if event.blob.role.startswith(("index", "manifest")) and not is_signed:
            return
        self.note(self._prefix(event.reference) + blob_line(event.blob))

    def _prefix(self, subject: Subject) -> str:
        name = subject.familiar() if isinstance(subject, Reference) else placename(subject)
        return f"{name}  " if self._several else ""


class Plain(Told):
    """Lines for a log: one per finished blob, and one every few seconds for each that flows."""

    def __init__(self, *, several: bool, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(several=several)
        self._clock = clock
        self._told: dict[Digest, float] = {}

    def progress(self, event: Event) -> None:
        match event:
            case Started():
                self._told[event.descriptor.digest] = self._clock()
                if event.offset:
                    self.note(f"          {event.descriptor.digest.short}  going on at {size_text(event.offset)}")
            case Advanced() | Unpacking():
                self._advanced(event, PLAIN_INTERVAL)

    def flowing(self, event: Started | Advanced) -> None:
        if isinstance(event, Advanced):
            self._advanced(event, FLOW_INTERVAL)
        else:
            self._told[event.descriptor.digest] = self._clock()

    def gone(self, digest: Digest) -> None:
        self._told.pop(digest, None)

    def _advanced(self, event: Advanced | Unpacking, interval: float) -> None:
        self._told.setdefault(event.descriptor.digest, self._clock())
        if self._clock() - self._told[event.descriptor.digest] < interval:
            return
        self._told[event.descriptor.digest] = self._clock()
        size = event.descriptor.size
        share = f"  {100 * event.offset // size} %" if size else ""
        amount = f"{size_text(event.offset)} of {size_text(size)}{share}"
        word = "  unpacked" if isinstance(event, Unpacking) else ""
        image = self.images.get(event.descriptor.digest)
        whose = f"  of {placename(image)}" if image else ""
        self.note(f"          {event.descriptor.digest.short}  {amount}{word}{whose}")


class JsonLines(Quiet):
    """Every event as one JSON object a line on stdout; progress of one blob at most five times a second."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[type[Event], Digest], float] = {}

    def show(self, event: Event) -> None:
        if isinstance(event, Traced):
            self.note(wire_line(event))
            return
        if isinstance(event, Advanced | Unpacking):
            now, key = self._clock(), (type(event), event.descriptor.digest)
            if now - self._told.get(key, float("-inf")) < JSON_INTERVAL:
                return
            self._told[key] = now
        click.echo(json.dumps({"event": type(event).__name__.lower()} | _plain(event)))


def header_line(event: Planned) -> str:
    """`docker.io/library/debian:bookworm   linux/amd64   sha256:9f1c…`."""
    platforms = ", ".join(map(str, event.platforms))
    parts = (placename(str(event.reference)), printable(platforms), str(event.descriptor.digest))
    return "   ".join(part for part in parts if part)


def wire_line(event: Retrying | Waiting | PassedOver | Traced) -> str:
    """Who failed or wants us to wait, why, and when the next try comes or who is asked instead; or what was sent."""
    if isinstance(event, Traced):
        from puller.cli.debugging import debug_line  # only with --debug

        return debug_line(event)
    if isinstance(event, Waiting):
        return waiting_line(event)
    if isinstance(event, PassedOver):
        reason = printable(event.reason)
        return f"passed over {event.host} for {printable(event.what)}: {reason}; asking {event.next_host}"
    when = f"again in {event.delay:.1f} s" if event.delay >= 0.05 else "again at once"
    return f"retrying: {printable(event.what)} at {event.host}: {printable(event.reason)}; {when} (try {event.attempt})"


def _plain(value: Any) -> Any:
    match value:
        case Digest() | Reference() | Platform():
            return str(value)
        case dict():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case tuple() | list():
            return [_plain(inner) for inner in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
        case _:
            return value
