"""`puller logout`."""

import click

from puller.cli import completing
from puller.cli.options import Access, Verb, registry_options


@click.command("logout", cls=Verb, short_help="Forget the login to a registry.")
@click.argument("registry", required=False, default="", metavar="[REGISTRY]", shell_complete=completing.registries)
@registry_options
def command(registry: str, access: Access) -> None:
    """Forget the login to a registry, Docker Hub if none is named, in docker's config.json and its helper."""
    from puller.cli.login import log_out

    done, *remarks = log_out(registry, access=access)
    for remark in remarks:
        click.echo(remark, err=True)
    click.echo(done)
