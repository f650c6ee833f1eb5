"""Removing: what `puller rm` does with its words, from names to exit code."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from puller.cli import interrupt
from puller.cli.failure import exit_code, gravest, show
from puller.cli.lines import counted, size_text
from puller.cli.rooms import open_graph, open_store
from puller.errors import PullerError
from puller.model.text import printable
from puller.ops.collect import collect_layers
from puller.ops.graphs.graph import Graph
from puller.ops.removing import Removed, remove
from puller.ops.unpacking.shelves import shelves_at
from puller.store.disk import DiskStore


def remove_all(texts: Sequence[str], *, store: Path | None, graph: Path | None) -> int:
    """Remove what each of `texts` stands for, going on after failures; the exit code."""

    async def main() -> int:
        place = await open_store(store)
        async with place.room_to_remove():
            codes = [await _one(text, place, open_graph(place, graph)) for text in texts]
            hindrance = await _layers(place)
            return gravest(codes) or _told([hindrance])

    return interrupt.run(main)


async def _one(text: str, store: DiskStore, graph: Graph) -> int:
    try:
        removed = await remove(text, store, graph)
    except PullerError as error:
        return _told([error.at(reference=text)])
    click.echo(_line(text, removed))
    for image_id in removed.images:
        click.echo(f"removed image {image_id}")
    return _told([] if removed.collected is None else [removed.collected.hindrance])


async def _layers(store: DiskStore) -> PullerError | None:
    """Free unpacked layers that nothing needs any more; what kept one from going."""
    cleared = await collect_layers(store, shelves_at(store.layout.layers))
    if cleared.freed:
        click.echo(f"removed {counted(len(cleared.freed), 'unpacked layer')}, {size_text(cleared.size)} of files")
    return cleared.hindrance


def _told(errors: Iterable[PullerError | None]) -> int:
    """Show what went wrong, if anything did; what it means to a shell."""
    codes = [0]
    for error in errors:
        if error is not None:
            show(error)
            codes.append(exit_code(error))
    return gravest(codes)


def _line(text: str, removed: Removed) -> str:
    parts = []
    if removed.collected is not None:
        freed = counted(len(removed.collected.freed), "blob")
        parts.append(f"{freed}, {size_text(removed.collected.size)} freed")
    if removed.images:
        parts.append(f"{counted(len(removed.images), 'image')}, {size_text(removed.size)} of files removed")
    if removed.kept:
        parts.append(f"the image stays: {removed.kept.replace('the image', 'it', 1)}")
    return printable(f"removed {removed.name or text}  {'; '.join(parts)}", limit=2000)
