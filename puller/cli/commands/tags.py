"""`puller tags`."""

import click

from puller.cli import completing
from puller.cli.options import Access, Verb, registry_options


@click.command("tags", cls=Verb, short_help="List the tags of a repository.")
@click.argument("repository", metavar="REPO", shell_complete=completing.repositories)
@registry_options
def command(repository: str, access: Access) -> None:
    """List the tags of a repository, one a line, in the registry's order."""
    from puller.cli.asking import tags_of

    for tag in tags_of(repository, access):
        click.echo(tag)
