"""`puller tags`."""

from pathlib import Path

import click

from puller.cli.options import registry_options


@click.command("tags", short_help="List the tags of a repository.")
@click.argument("repository", metavar="REPO")
@registry_options
def command(repository: str, plain_http: tuple[str, ...], ca: Path | None) -> None:
    """List the tags of a repository, one a line, in the registry's order."""
    from puller.cli.asking import tags_of

    for tag in tags_of(repository, plain_http=plain_http, ca=ca):
        click.echo(tag)
