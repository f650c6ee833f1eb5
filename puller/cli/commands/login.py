"""`puller login`."""

import click

from puller.cli import completing
from puller.cli.options import Access, Verb, registry_options


def _refused(_context: click.Context, _option: click.Parameter, value: str | None) -> None:
    """docker and skopeo take it so; who is used to that should learn why not here, and the way instead."""
    if value is not None:
        what = "no password on the command line: everybody on this machine can read it there"
        raise click.UsageError(f"{what}; give it on stdin: --password-stdin")


@click.command("login", cls=Verb, short_help="Log in to a registry, and keep the login as docker does.")
@click.argument("registry", required=False, default="", metavar="[REGISTRY]", shell_complete=completing.registries)
@click.option("--username", "-u", metavar="NAME", help="The user name; else it is asked for.")
@click.option("--password", "-p", expose_value=False, hidden=True, callback=_refused, help="See _refused.")
@click.option("--password-stdin", is_flag=True, help="Take the password from stdin; else it is asked for.")
@registry_options
def command(registry: str, username: str | None, password_stdin: bool, access: Access) -> None:
    """Log in to a registry, Docker Hub if none is named, and keep the login as docker does.

    The registry is asked first whether it takes the user name and password. They are kept in the credential helper
    that is set up for it, else in docker's config.json, or in the file that --authfile or $REGISTRY_AUTH_FILE names.
    REGISTRY may be a part of one, as in quay.io/team: an account for the repositories below that.
    """
    from puller.cli.login import log_in

    *remarks, done = log_in(registry, username, from_stdin=password_stdin, access=access)
    for remark in remarks:
        click.echo(remark, err=True)
    click.echo(done)
