"""Bars: a live line for every blob that flows, on a terminal. The only module that uses rich."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, Task, TaskID, TextColumn, TransferSpeedColumn
from rich.text import Text

from puller.cli.failure import text_of
from puller.cli.screen import Told
from puller.errors import PullerError
from puller.model.digest import Digest
from puller.model.event import Advanced, Delivered, Event, Planned, Started, Unpacked, Unpacking, Verified
from puller.model.text import printable


class Speed(TransferSpeedColumn):
    """Nothing where rich would say `?`: in the first moments, and when a blob is too small to tell."""

    def render(self, task: Task) -> Text:
        known = task.finished_speed or task.speed
        return super().render(task) if known else Text("")


class Bars(Told):
    """Finished lines scroll up and stay; what flows is drawn below them and goes when it is done."""

    def __init__(self, *, several: bool) -> None:
        super().__init__(several=several)
        self._console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            TextColumn("{task.fields[role]:<9} {task.description}", markup=False),
            BarColumn(bar_width=20),
            DownloadColumn(),
            Speed(),
            TextColumn("{task.fields[words]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._roles: dict[Digest, str] = {}
        self._tasks: dict[Digest, TaskID] = {}

    def show(self, event: Event) -> None:
        if isinstance(event, Planned):
            self._roles |= {descriptor.digest: role for role, descriptor in event.steps}
        elif isinstance(event, Verified | Delivered):
            self._remove(Digest.parse(event.blob.digest))
        elif isinstance(event, Unpacked):
            self._remove(Digest.parse(event.layer.digest))
        super().show(event)

    def flowing(self, event: Started | Advanced) -> None:
        digest = event.descriptor.digest
        if isinstance(event, Started) and digest in self.images:
            self._start(event, printable(self.images[digest].rpartition("/")[2], limit=40))
        else:
            self.progress(event)

    def gone(self, digest: Digest) -> None:
        self._remove(digest)

    def progress(self, event: Event) -> None:
        match event:
            case Started() if event.descriptor.digest in self._roles:
                self._start(event, "resumed" if event.offset else "")
            case Unpacking() if event.descriptor.digest not in self._tasks:
                self._start(event, "unpacking")
            case Advanced() | Unpacking() if event.descriptor.digest in self._tasks:
                self._progress.update(self._tasks[event.descriptor.digest], completed=event.offset)

    def result(self, line: str) -> None:
        if sys.stdout.isatty():
            self._console.print(line, soft_wrap=True)
        else:
            super().result(line)

    def note(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def problem(self, error: PullerError) -> None:
        self.note(text_of(error))

    def _start(self, event: Started | Unpacking, words: str) -> None:
        digest = event.descriptor.digest
        self._remove(digest)  # a second try from zero
        self._tasks[digest] = self._progress.add_task(
            digest.short,
            total=event.descriptor.size,
            completed=event.offset,
            role=self._roles.get(digest, "layer"),
            words=words,
        )

    def _remove(self, digest: Digest) -> None:
        task = self._tasks.pop(digest, None)
        if task is not None:
            self._progress.remove_task(task)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
