"""`puller completion`."""

import click

from puller.cli.shells import SHELLS, script


@click.command("completion", short_help="Print the script that lets a shell complete words.")
@click.argument("shell", metavar="|".join(SHELLS), type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete verbs, options, and the images that are here.

    \b
    bash  eval "$(puller completion bash)"                            in ~/.bashrc
    zsh   puller completion zsh >"${fpath[1]}/_puller"                once
    fish  puller completion fish >~/.config/fish/completions/puller.fish
    """
    click.echo(script(context.find_root().command, shell).rstrip("\n"))
