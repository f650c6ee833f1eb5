"""`puller tag`."""

from pathlib import Path

import click

from puller.cli.options import store_option


@click.command("tag", short_help="Give an image of the store another name.")
@click.argument("reference", metavar="REF")
@click.argument("name", metavar="NAME")
@store_option
def command(reference: str, name: str, store: Path | None) -> None:
    """Give an image of the store another name; an image that had it loses it."""
    from puller.cli import interrupt
    from puller.cli.rooms import open_store
    from puller.model.reference import Reference

    source, target = Reference.parse(reference).tagged(), Reference.parse(name).tagged()

    async def tag() -> str:
        place = await open_store(store)
        descriptor = await place.resolve(source)
        await place.tag(target, descriptor)
        return f"{target}  {descriptor.digest}"

    click.echo(interrupt.run(tag))
