"""Carrier: who brings the images of a sync, here or on other machines."""

from typing import Protocol

from puller.model.sync import Carried, Transfer


class Carrier(Protocol):
    """Brings images; safe to use from many tasks, and itself the judge of how many it brings at a time."""

    async def carry(self, transfer: Transfer) -> Carried:
        """Bring one image, the tag last. Raises any PullerError; then the tag has not moved.

        DigestMismatch also where it is said to replace nothing, and the tag names something else by now.
        """
        ...
