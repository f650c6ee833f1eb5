"""`puller history`."""

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import graph_option, platform_option, store_option


@click.command("history", short_help="Show how an image came to be.")
@click.argument("reference", metavar="REF", shell_complete=completing.images)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a step.")
@click.option("--no-trunc", "whole", is_flag=True, help="Whole IDs and commands.")
@platform_option
@store_option
@graph_option
def command(
    reference: str, as_json: bool, whole: bool, platform: str | None, store: Path | None, graph: Path | None
) -> None:
    """Show how an image came to be, the latest step first: ID, time, command, size, comment.

    Steps of images of today have no ID of their own, but for the image itself. An image for another platform than
    --platform says is refused.
    """
    from puller.cli.saving import show_history

    for line in show_history(reference, platform, store, graph, as_json=as_json, whole=whole):
        click.echo(line)
