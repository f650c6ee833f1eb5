"""Exporting: what `puller export` does with its words."""

from typing import BinaryIO

from puller.cli import interrupt
from puller.cli.lines import size_text
from puller.cli.options import Where
from puller.cli.output import archive_output, left_of, spoken
from puller.cli.screen import screen_for
from puller.cli.workbench import open_shelves, subject, told, workbench
from puller.ops.export import export
from puller.ops.graphs.names import Found
from puller.ops.pulling.ledger import Ledger


def export_one(text: str, output: str, where: Where) -> int:
    """Export one image to a file, which appears when it is complete, or to stdout; the exit code."""
    with screen_for("people", several=False) as screen:

        async def main(file: BinaryIO) -> tuple[Found, int]:
            async with workbench(where, report=screen.show) as bench:
                found = await bench.find(text)
                with open_shelves(bench.store, only=where.driver) as shelves:
                    image = await bench.tree(found, shelves)
                    return found, await export(image, file.write, Ledger(subject(found), screen.show))

        with archive_output(output, verb="export") as file:
            found, size = interrupt.run(lambda: main(file), warn=screen.note, left=left_of(output))
            file.flush()
        screen.note(f"exported {told(found)} to {spoken(output)}  {size_text(size)}")
    return 0
