"""Rooms: opens the store as the command line and the user's settings say."""

from pathlib import Path

from puller.cli.environment import store_path
from puller.store.disk import DiskStore


async def open_store(given: Path | None) -> DiskStore:
    """The store of this user, or the one given; made where it is missing."""
    return await DiskStore.open(store_path(given))
