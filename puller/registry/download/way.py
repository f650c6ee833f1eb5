"""Way: where the pieces of one blob are asked for.

Where a registry sends its blobs elsewhere, the place that it has named is asked again directly, without any secret,
until it answers no more; then one request goes back to the registry for a new one, and the others wait for what it
finds (N13).
"""

import anyio

from puller.registry.answer import Answer, Location, Request
from puller.registry.retry import Setback
from puller.registry.session import Session


class Way:
    """Begins at `location`; None: the registry itself has served the blob so far."""

    def __init__(self, session: Session, location: Location | None) -> None:
        self._session = session
        self._location = location
        self._is_elsewhere = location is not None
        self._finding = anyio.Lock()

    async def ask(self, request: Request) -> Answer | Setback:
        """As `Session.attempt`: the registry is asked only where no location is known, or the known one has died."""
        if not self._is_elsewhere:
            return self._noted(await self._session.attempt(request))
        while True:
            known = self._location or await self._found(request)
            if not isinstance(known, Location):
                return known
            result = await self._session.attempt(request, at=known)
            if not (isinstance(result, Setback) and result.stale):
                return result
            if self._location is known:
                self._location = None

    async def _found(self, request: Request) -> Location | Answer | Setback:
        """What the registry answers; or the location that another request has found meanwhile."""
        async with self._finding:
            if self._location is not None:
                return self._location
            return self._noted(await self._session.attempt(request))

    def _noted(self, result: Answer | Setback) -> Answer | Setback:
        if isinstance(result, Answer):
            self._location = result.location
            self._is_elsewhere = self._location is not None
        return result
