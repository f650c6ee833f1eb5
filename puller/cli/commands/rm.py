"""`puller rm`."""

from pathlib import Path

import click

from puller.cli.options import store_option


@click.command("rm", short_help="Take names away, and free what nothing else needs.")
@click.argument("references", metavar="REF…", nargs=-1, required=True)
@store_option
def command(references: tuple[str, ...], store: Path | None) -> None:
    """Take names away, and free at once what no other name and no running pull needs."""
    from puller.cli import interrupt
    from puller.cli.lines import counted, size_text
    from puller.cli.rooms import open_store
    from puller.model.reference import Reference
    from puller.store.gc import release

    names = [Reference.parse(reference).tagged() for reference in references]

    async def remove() -> None:
        place = await open_store(store)
        for name in names:
            collected = await release(place, name)
            click.echo(f"removed {name}  {counted(len(collected.freed), 'blob')}, {size_text(collected.size)} freed")

    interrupt.run(remove)
