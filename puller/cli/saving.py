"""Saving: what `puller save`, `convert` and `history` do with their words."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click

from puller.cli import interrupt
from puller.cli.environment import host_platform
from puller.cli.lines import counted, short, size_text
from puller.cli.logs import on_stderr
from puller.cli.naming import short_names
from puller.cli.output import archive_output, left_of, spoken
from puller.cli.rooms import open_graph, open_store
from puller.cli.screen import Style
from puller.cli.table import aligned
from puller.model.platform import Platform
from puller.model.text import printable
from puller.ops.convert import Converted, convert
from puller.ops.history import Step, history
from puller.ops.save import Saved, save
from puller.ops.saving.modernise import Form
from puller.ops.unpacking.shelves import shelves_at

_SHOWN = 45  # characters of a command, as in Docker's own table


def save_all(
    texts: Sequence[str],
    output: str,
    form: Form,
    platform: str | None,
    store: Path | None,
    graph: Path | None,
    *,
    style: Style = "people",
) -> None:
    """Save images to a file, which appears when it is complete, or to stdout."""

    async def main(file: BinaryIO) -> Saved:
        place = await open_store(store)
        asked, host = _platform(platform), host_platform()
        return await save(texts, place, open_graph(place, graph), file.write, form=form, platform=asked, otherwise=host)

    with archive_output(output, verb="save") as file:
        saved = interrupt.run(lambda: main(file), left=left_of(output))
        file.flush()
    if style == "json":
        told = {"event": "saved", "output": output, "images": saved.images, "size": saved.size}
        click.echo(json.dumps(told), err=output == "-")
    elif style == "people":
        on_stderr(f"saved {counted(saved.images, 'image')} to {spoken(output)}  {size_text(saved.size)}")


def convert_one(
    text: str,
    form: Form,
    name: str | None,
    platform: str | None,
    store: Path | None,
    graph: Path | None,
    *,
    style: Style = "people",
) -> Iterable[str]:
    """Convert an image; the lines that say what became of it."""

    async def main() -> Converted:
        place = await open_store(store)
        new = None if name is None else short_names().one(name).tagged()
        asked = _platform(platform)
        return await convert(text, form, place, open_graph(place, graph), name=new, platform=asked)

    left = "what was stored is kept for the next try, until `puller gc`"
    converted = interrupt.run(main, left=left)
    if style == "json":
        return [json.dumps(_plain(converted))]
    if style == "quiet":
        return [f"{converted.reference}  {converted.image_id}"]
    return _told(converted)


def _plain(converted: Converted) -> dict[str, Any]:
    layers = [
        {
            "image_id": turned.image_id,
            "digest": None if turned.layer is None else str(turned.layer.digest),
            "diff_id": None if turned.diff_id is None else str(turned.diff_id),
        }
        for turned in converted.layers
    ]
    return {
        "event": "converted",
        "name": str(converted.reference),
        "old_id": converted.old_id,
        "image_id": str(converted.image_id),
        "digest": str(converted.manifest.digest),
        "media_type": converted.manifest.media_type,
        "layers": layers,
        "reused": converted.reused,
        "moved": converted.moved,
    }


def _told(converted: Converted) -> Iterator[str]:
    rows = [("image", converted.old_id, str(converted.image_id))]
    for turned in converted.layers:
        new = "thrown away: it is empty" if turned.layer is None else f"{turned.layer.digest}  diff ID {turned.diff_id}"
        rows.append(("layer", turned.image_id, new))
    yield from aligned([(kind, old, "→", new) for kind, old, new in rows], gap=2)
    layers = sum(turned.layer is not None for turned in converted.layers)
    yield f"{converted.reference} is {converted.manifest.digest} now; {converted.reused} of {layers} blobs were here"
    if converted.moved:
        on_stderr("The old image has lost this name, and is still here by its ID.")


def show_history(
    text: str, platform: str | None, store: Path | None, graph: Path | None, *, as_json: bool, whole: bool
) -> Iterable[str]:
    """The lines that say how an image came to be."""

    async def main() -> list[Step]:
        place = await open_store(store)
        asked, host = _platform(platform), host_platform()
        shelves = shelves_at(place.layout.layers)
        return await history(text, place, open_graph(place, graph), shelves, platform=asked, otherwise=host)

    steps = interrupt.run(main)
    if as_json:
        return [json.dumps(step.plain()) for step in steps]
    head = ("IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT")
    return aligned([head, *(_row(step, whole=whole) for step in steps)])


def _row(step: Step, *, whole: bool) -> tuple[str, ...]:
    size = "-" if step.size is None else size_text(step.size)
    comment = printable(step.comment, limit=1000)
    if whole:
        return (
            printable(step.image_id),
            printable(step.created),
            printable(step.created_by, limit=10_000),
            size,
            comment,
        )
    command = printable(step.created_by, limit=10_000)
    if len(command) > _SHOWN:
        command = f"{command[: _SHOWN - 1]}…"
    return _short(step.image_id), printable(step.created[:19].replace("T", " ")), command, size, comment


def _short(image_id: str) -> str:
    return short(image_id) if ":" in image_id else image_id[:12]


def _platform(text: str | None) -> Platform | None:
    return None if text is None else Platform.parse(text)
