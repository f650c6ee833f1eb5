"""Brake: lets the images that are on their way arrive, and begins no other."""

import anyio

from puller.model.sync import Carried, Transfer
from puller.ops.syncing.carrier import Carrier


class Brake:
    """How many images are under way, and whether more may follow. One for the life of a daemon."""

    def __init__(self) -> None:
        self.under_way = 0
        self.is_on = False
        self._idle = anyio.Event()
        self._idle.set()

    def on(self, carrier: Carrier, *, jobs: int) -> Carrier:
        """The same carrier, held by this brake; it gets no more than `jobs` images at a time.

        Those it would let wait could not be told from those that are on their way.
        """
        return _Braked(carrier, self, jobs)

    def stop(self) -> None:
        """Begin no other image."""
        self.is_on = True

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self.under_way:
            await self._idle.wait()

    def began(self) -> None:
        """One more image is under way."""
        self.under_way += 1
        if self.under_way == 1:
            self._idle = anyio.Event()

    def ended(self) -> None:
        """One less is."""
        self.under_way -= 1
        if not self.under_way:
            self._idle.set()


class _Braked:
    def __init__(self, carrier: Carrier, brake: Brake, jobs: int) -> None:
        self._carrier = carrier
        self._brake = brake
        self._jobs = anyio.CapacityLimiter(jobs)

    async def carry(self, transfer: Transfer) -> Carried:
        async with self._jobs:
            if self._brake.is_on:
                await anyio.sleep_forever()  # until the run is cancelled: an error would be told as the image's own
            self._brake.began()
            try:
                return await self._carrier.carry(transfer)
            finally:
                self._brake.ended()
