"""`puller ping`."""

import click

from puller.cli import completing
from puller.cli.options import Access, Verb, registry_options


@click.command("ping", cls=Verb, short_help="Say what a registry offers, and what is wrong with how it is set up.")
@click.argument("target", metavar="REGISTRY[/REPO[:TAG]]", shell_complete=completing.hosts)
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON, one a line.")
@registry_options
def command(target: str, as_json: bool, access: Access) -> int:
    """Say what a registry offers, and what is wrong with how it is set up, from its name to its quota.

    With a repository it is asked for tags, ranges and referrers, too; at most one pull is counted. Nothing is changed.
    The exit code is 0 where the registry can be used, else 1.
    """
    from puller.cli.pinging import ping_all

    return ping_all(target, access, as_json=as_json)
