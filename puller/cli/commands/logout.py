"""`puller logout`."""

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import Access, Verb


@click.command("logout", cls=Verb, short_help="Forget the login to a registry.")
@click.argument("registry", required=False, default="", metavar="[REGISTRY]", shell_complete=completing.registries)
@click.option(
    "--authfile",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The login in this file, of docker's form, and no other.",
)
def command(registry: str, authfile: Path | None) -> None:
    """Forget the login to a registry, Docker Hub if none is named, in docker's config.json and
    its helper. No registry is asked."""
    from puller.cli.login import log_out

    done, *remarks = log_out(registry, access=Access(authfile=authfile))
    for remark in remarks:
        click.echo(remark, err=True)
    click.echo(done)
