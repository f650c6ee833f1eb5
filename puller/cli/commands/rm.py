"""`puller rm`."""

from pathlib import Path

import click

from puller.cli.options import store_option


@click.command("rm", short_help="Take names away, and free what nothing else needs.")
@click.argument("references", metavar="REF…", nargs=-1, required=True)
@store_option
def command(references: tuple[str, ...], store: Path | None) -> int:
    """Take names away, and free at once what no other name and no running pull needs.

    A name that cannot be taken away does not stop the others.
    """
    from puller.cli import interrupt
    from puller.cli.failure import exit_code, gravest, show
    from puller.cli.lines import counted, size_text
    from puller.cli.rooms import open_store
    from puller.errors import PullerError
    from puller.model.reference import Reference
    from puller.ops.collect import collect_layers
    from puller.ops.shelves import shelves_at
    from puller.store.gc import release

    names = [Reference.parse(reference).tagged() for reference in references]

    async def remove() -> int:
        place = await open_store(store)
        codes = [0]
        for name in names:
            try:
                collected = await release(place, name)
            except PullerError as error:
                show(error.at(reference=name))
                codes.append(exit_code(error))
                continue
            freed = counted(len(collected.freed), "blob")
            click.echo(f"removed {name}  {freed}, {size_text(collected.size)} freed")
            if collected.hindrance is not None:
                show(collected.hindrance)
                codes.append(exit_code(collected.hindrance))
        cleared = await collect_layers(place, shelves_at(place.layout.layers))
        if cleared.freed:
            click.echo(f"removed {counted(len(cleared.freed), 'unpacked layer')}, {size_text(cleared.size)} of files")
        if cleared.hindrance is not None and gravest(codes) == 0:
            show(cleared.hindrance)
            codes.append(exit_code(cleared.hindrance))
        return gravest(codes)

    return interrupt.run(remove)
