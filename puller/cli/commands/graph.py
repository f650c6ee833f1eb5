"""`puller graph`: ls, tree, check."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from puller.cli.options import graph_option, store_option


def _look_options(function: Callable[..., Any]) -> Callable[..., Any]:
    @store_option
    @graph_option
    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    @wraps(function)
    def with_options(*arguments: Any, **words: Any) -> Any:
        return function(*arguments, **words)

    return with_options


@click.group("graph", short_help="Look at the image graph.")
def command() -> None:
    """Look at the image graph of the store, or of a Docker of 1.8 or 1.9."""


@command.command("ls", short_help="List every image, those without a name too.")
@_look_options
def list_all(store: Path | None, graph: Path | None, as_json: bool) -> None:
    """List every image with its parent, the size of its own layer and its names."""
    from puller.cli.graphing import list_json, list_lines

    for line in (list_json if as_json else list_lines)(_grown(store, graph)):
        click.echo(line)


@command.command("tree", short_help="Show which image stands on which.")
@_look_options
def tree(store: Path | None, graph: Path | None, as_json: bool) -> None:
    """Show which image stands on which, from the bases up."""
    from puller.cli.graphing import tree_json, tree_lines

    for line in (tree_json if as_json else tree_lines)(_grown(store, graph)):
        click.echo(line)


@command.command("check", short_help="Say what is not right in the graph.")
@_look_options
@click.option("--disk", is_flag=True, help="Put every layer together again, and compare it with its checksum.")
@click.option("--tarsum", is_flag=True, help="Compute tarsum.v1 of every layer, compare it, and keep it beside it.")
def check(store: Path | None, graph: Path | None, as_json: bool, disk: bool, tarsum: bool) -> int:
    """Say what is not right in the graph; exit code 3 where anything is.

    Files, IDs, parents, trees and names are looked at; layers are read only where that is asked for.
    """
    from puller.cli import interrupt
    from puller.cli.graphing import check_json, check_lines
    from puller.cli.rooms import open_graph, open_store
    from puller.cli.tally import Tally
    from puller.ops.graphcheck import Checked
    from puller.ops.graphcheck import check as checked_graph

    async def main() -> Checked:
        place = await open_store(store)
        return await checked_graph(open_graph(place, graph), place, disk=disk, tarsum=tarsum, told=tally.add)

    with Tally("checked", "layer") as tally:
        checked = interrupt.run(main)
    for line in [check_json(checked)] if as_json else check_lines(checked):
        click.echo(line)
    return 3 if checked.findings else 0


def _grown(store: Path | None, graph: Path | None) -> Any:
    from puller.cli import interrupt
    from puller.cli.rooms import open_graph, open_store
    from puller.ops.graphs.forest import Forest, forest

    async def main() -> Forest:
        return await forest(open_graph(await open_store(store), graph))

    return interrupt.run(main)
