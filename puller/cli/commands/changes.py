"""`puller changes`."""

import click

from puller.cli import completing
from puller.cli.options import Verb, Where, where_options


@click.command("changes", cls=Verb, short_help="List what differs between two images or directories.")
@click.argument("old", metavar="REF|ID|DIR", shell_complete=completing.trees)
@click.argument("new", metavar="REF|ID|DIR", shell_complete=completing.trees)
@click.option("--strict", is_flag=True, help="Compare contents byte by byte, and times to the nanosecond.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with what differs.")
@where_options
def command(old: str, new: str, strict: bool, as_json: bool, where: Where) -> int:
    """List what differs: A added, C changed, D deleted, of what was deleted only the top.

    An existing directory is taken as one (write ./name to be sure); all else is an image, which is unpacked in the
    store first, and pulled where it is not there; one of an image graph is read where it is.
    """
    from puller.cli.comparing import compare_two

    return compare_two((old, new), where, strict=strict, as_json=as_json)
