"""Places: who opens the repositories, directories and stores that a sync names."""

from collections.abc import AsyncIterator
from typing import Protocol

from puller.contracts.images import ImageSource, ImageTarget, TagKeeper


class Places(Protocol):
    """Opens places by their texts; the same object for the same place as long as it lasts."""

    async def source(self, place: str) -> ImageSource:
        """A place to bring images from. Raises any PullerError."""
        ...

    async def target(self, place: str) -> ImageTarget:
        """A place to bring images to. Raises any PullerError."""
        ...

    async def keeper(self, place: str) -> TagKeeper:
        """A place whose tags can be taken away. Raises any PullerError."""
        ...

    def catalog(self, registry: str) -> AsyncIterator[str]:
        """The names of all repositories of a registry. Raises RegistryError."""
        ...
