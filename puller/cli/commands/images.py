"""`puller images`."""

import json
from pathlib import Path

import click

from puller.cli.options import store_option


@click.command("images", short_help="List what the store holds.")
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(store: Path | None, as_json: bool) -> None:
    """List what the store holds: name, digest, platforms, size."""
    from puller.cli import interrupt
    from puller.cli.lines import short, size_text
    from puller.cli.rooms import open_store
    from puller.cli.table import aligned
    from puller.model.text import printable
    from puller.ops.images import Held, images

    async def ask() -> list[Held]:
        return await images(await open_store(store))

    held = interrupt.run(ask)
    if as_json:
        for one in held:
            facts = {"name": one.name, "digest": str(one.descriptor.digest), "media_type": one.descriptor.media_type}
            click.echo(json.dumps(facts | {"platforms": one.platforms, "size": one.size}))
        return
    rows = [
        (
            printable(one.name),
            short(str(one.descriptor.digest)),
            printable(", ".join(one.platforms)) or "-",
            size_text(one.size),
        )
        for one in held
    ]
    for line in aligned([("NAME", "DIGEST", "PLATFORMS", "SIZE"), *rows]):
        click.echo(line)
