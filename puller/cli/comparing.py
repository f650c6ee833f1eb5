"""Comparing: what `puller changes` does with its words."""

import json
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import click
from anyio import to_thread

from puller.cli import interrupt
from puller.cli.options import Where
from puller.cli.screen import Screen, screen_for
from puller.cli.workbench import Workbench, open_shelves, workbench
from puller.errors import InvalidConfig
from puller.model.change import Change
from puller.model.text import printable
from puller.ops.unpacking.trees import directory, strata_of
from puller.rootfs.changes import compare
from puller.rootfs.survey import Strata


def compare_two(words: tuple[str, str], where: Where, *, strict: bool, as_json: bool) -> int:
    """List what differs between two trees; the exit code, 0 whether they differ or not."""
    sides = [_side(word) for word in words]
    with screen_for("people", several=False) as screen:

        async def main() -> list[Change]:
            async with AsyncExitStack() as stack:
                opening = _Opening(stack, where, screen)
                old, new = [await opening.tree(side) for side in sides]
                return await to_thread.run_sync(lambda: compare(old, new, strict=strict))

        found = interrupt.run(main, warn=screen.note)
    for change in found:
        click.echo(_document(change) if as_json else line(change))
    return 0


def _side(word: str) -> Path | str:
    try:
        is_directory = Path(word).is_dir()
    except OSError:  # no name of a file at all, or nothing that this user may look at
        is_directory = False
    if not is_directory and word.startswith((".", "/")):
        raise InvalidConfig("no directory that can be read", where=printable(word))
    return Path(word) if is_directory else word


def line(change: Change) -> str:
    """`C /etc/passwd  (content, mtime)`."""
    return f"{change}  ({', '.join(change.differs)})" if change.differs else str(change)


def _document(change: Change) -> str:
    # JSON has no bytes: what is no UTF-8 comes as lone surrogates (PEP 383), escaped.
    path = "/" + change.path.decode(errors="surrogateescape")
    return json.dumps({"kind": str(change.kind), "path": path, "differs": change.differs})


class _Opening:
    """Opens the trees, all until `stack` closes; the store is opened only for images."""

    def __init__(self, stack: AsyncExitStack, where: Where, screen: Screen) -> None:
        self._stack = stack
        self._where = where
        self._screen = screen
        self._bench: Workbench | None = None

    async def tree(self, side: Path | str) -> Strata:
        """Of a directory itself, of an image all its layers."""
        if isinstance(side, Path):
            return self._stack.enter_context(directory(side))
        if self._bench is None:
            opened = workbench(self._where, report=self._screen.show)
            self._bench = await self._stack.enter_async_context(opened)
        found = await self._bench.find(side)
        with open_shelves(self._bench.store, only=self._where.driver) as shelves:
            image = await self._bench.tree(found, shelves)
        return await strata_of(image, self._stack.enter_context(ExitStack()))
