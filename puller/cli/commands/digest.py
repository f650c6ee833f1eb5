"""`puller digest`."""

import click

from puller.cli import completing
from puller.cli.options import Access, Verb, registry_options


@click.command("digest", cls=Verb, short_help="Ask the registry which digest a name has now.")
@click.argument("reference", metavar="REF", shell_complete=completing.references)
@registry_options
def command(reference: str, access: Access) -> None:
    """Ask the registry which digest a name has now; nothing is pulled."""
    from puller.cli.asking import digest_of

    click.echo(digest_of(reference, access))
