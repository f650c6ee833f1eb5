"""Rooms: opens the store and its graph as the command line and the user's settings say."""

from pathlib import Path
from typing import TYPE_CHECKING

from puller.cli.environment import store_path

if TYPE_CHECKING:
    from puller.ops.graphs.graph import Graph
    from puller.store.disk import DiskStore


async def open_store(given: Path | None) -> "DiskStore":
    """The store of this user, or the one given; made where it is missing."""
    from puller.store.disk import DiskStore  # only now: copies from registry to registry need none

    return await DiskStore.open(store_path(given))


def is_store(given: Path | None) -> bool:
    """Whether the store of this user, or the one given, is there."""
    from puller.store.layout import Layout

    return Layout(store_path(given)).mark.exists()


def open_graph(store: "DiskStore", given: Path | None) -> "Graph":
    """The graph for those who only look, name and remove; see `graph_at`. Raises InvalidConfig, Unsupported."""
    from puller.cli.naming import spelling  # these only now: plain pulls and syncs need none of it
    from puller.ops.graphs.graph import graph_at

    return graph_at(store, given, spelling=spelling())
