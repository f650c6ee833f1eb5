"""`puller mount`."""

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import Verb, Where, where_options


@click.command("mount", cls=Verb, short_help="Show an image's tree at a directory.")
@click.argument("reference", metavar="REF|ID", shell_complete=completing.images)
@click.argument("target", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@where_options
def command(reference: str, target: Path, where: Where) -> None:
    """Show an image's tree at DIR, by overlayfs: read-only, without setuid and devices. It needs the right to mount.

    The image is unpacked in the store first, and pulled where it is not there; one of an image graph is shown as it
    is there. Nothing of it is removed until `puller umount DIR`.
    """
    from anyio import to_thread

    from puller.cli import interrupt
    from puller.cli.screen import screen_for
    from puller.cli.workbench import open_shelves, told, workbench
    from puller.model.text import printable
    from puller.ops.mounting import show
    from puller.ops.unpacking.trees import GraphTree

    with screen_for("people", several=False) as screen:

        async def main() -> str:
            async with workbench(where, report=screen.show) as bench:
                found = await bench.find(reference)
                with open_shelves(bench.store, only=where.driver) as shelves:
                    image = await bench.tree(found, shelves)
                    books = shelves.mounts, bench.door.open().mounts
                    own, other = books[::-1] if isinstance(image, GraphTree) else books
                    await to_thread.run_sync(show, image, target, own, other)
                return told(found)

        name = interrupt.run(main, warn=screen.note)
        screen.note(f"mounted {name} at {printable(str(target))}")
