"""`puller images`."""

import json
from pathlib import Path

import click

from puller.cli.options import store_option


@click.command("images", short_help="List what the store holds.")
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(store: Path | None, as_json: bool) -> int:
    """List what the store holds: name, digest, platforms, size; exit code 3 where a manifest is damaged."""
    from puller.cli import interrupt
    from puller.cli.lines import short, size_text
    from puller.cli.rooms import open_store
    from puller.cli.table import aligned
    from puller.model.text import printable
    from puller.ops.images import Held, images
    from puller.store.naming import REPAIR

    async def ask() -> list[Held]:
        return await images(await open_store(store))

    def plain(one: Held) -> str:
        facts = {"name": one.name, "digest": str(one.descriptor.digest), "media_type": one.descriptor.media_type}
        return json.dumps(facts | {"platforms": one.platforms, "size": one.size, "damaged": one.damaged})

    def row(one: Held) -> tuple[str, ...]:
        marks = [*one.platforms, "damaged"] if one.damaged else one.platforms
        platforms = printable(", ".join(marks)) or "-"
        return printable(one.name), short(str(one.descriptor.digest)), platforms, size_text(one.size)

    held = interrupt.run(ask)
    table = aligned([("NAME", "DIGEST", "PLATFORMS", "SIZE"), *map(row, held)])
    for line in map(plain, held) if as_json else table:
        click.echo(line)
    if not any(one.damaged for one in held):
        return 0
    click.echo(f"puller: a manifest or config is damaged. {REPAIR}", err=True)
    return 3
