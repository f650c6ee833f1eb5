"""Exporting: what `puller export` does with its words."""

from typing import BinaryIO

from puller.cli import interrupt
from puller.cli.lines import size_text
from puller.cli.options import Where
from puller.cli.output import archive_output
from puller.cli.screen import screen_for
from puller.cli.workbench import open_shelves, workbench
from puller.model.reference import Reference
from puller.model.text import printable
from puller.ops.export import export
from puller.ops.ledger import Ledger


def export_one(text: str, output: str, where: Where) -> int:
    """Export one image to a file, which appears when it is complete, or to stdout; the exit code."""
    reference = Reference.parse(text)
    with screen_for("people", several=False) as screen:

        async def main(file: BinaryIO) -> int:
            async with workbench(where, report=screen.show) as bench:
                with open_shelves(bench.store, only=where.driver) as shelves:
                    image = await bench.shelved(reference, shelves)
                    return await export(image, file.write, Ledger(reference, screen.show))

        with archive_output(output, verb="export") as file:
            size = interrupt.run(lambda: main(file), warn=screen.note)
            file.flush()
        screen.note(f"exported {reference.tagged()} to {printable(output)}  {size_text(size)}")
    return 0
