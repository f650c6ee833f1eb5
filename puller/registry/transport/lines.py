"""Lines: the two pools of connections of one registry, home and away.

Home goes to the registry itself, wherever the user says it is. Away goes where the registry sends us: blob hosts, token
servers; its boundary is the registry's own reach, so a public registry sends us to public addresses only (THREATS B8).
"""

from functools import cached_property, partial

from puller.contracts.access import Trust
from puller.registry.means import Means
from puller.registry.transport.origin import Origin
from puller.registry.transport.reach import Boundary, Reach
from puller.registry.transport.tls import unproven_context
from puller.registry.transport.wire import Wire


class Lines:
    """Opens a pool when it is first needed."""

    def __init__(
        self,
        home: Origin,
        *,
        named: bool,
        trust: Trust,
        means: Means,
        proven: bool = True,
        limit: Reach | None = None,
    ) -> None:
        """`named`: the user has named it for plain HTTP. Without `proven`, home need not prove who it is (B4).

        `limit`: how far inside home itself may lie, where it was not the user who has said where it is.
        """
        self._home = home
        # Who we are is shown to the registry's own host only, not where it sends us (THREATS B6).
        self._tls_away = partial(means.tls, Trust(trust.authorities))
        self._tls_home = partial(means.tls, trust) if trust.certificates else self._tls_away
        self._means = means
        # Plain HTTP that nobody asked for is for this machine only, even if `localhost` should resolve elsewhere.
        unasked = home.scheme == "http" and not named
        boundary = Boundary(limit=limit, only=Reach.LOOPBACK if unasked else None, classify=means.classify)
        tls_home = self._tls_home if proven else lambda: unproven_context(trust)
        self.home = Wire(boundary, tls=tls_home, means=means)

    @cached_property
    def away(self) -> Wire:
        """The pool for other origins; first wanted after the registry has answered, so its reach is known."""
        boundary = Boundary(limit=self.home.boundary.seen or Reach.PUBLIC, classify=self._means.classify)
        return Wire(boundary, tls=self._tls_away, means=self._means)

    def to(self, origin: Origin, *, at_home: bool) -> Wire:
        """The pool for a request to `origin`."""
        return self.home if at_home and origin == self._home else self.away

    def to_token_server(self, origin: Origin, *, public_only: bool) -> Wire:
        """The pool for a token request; `public_only`: the registry chose the host, the user did not."""
        return self.away if public_only or origin.host != self._home.host else self.home

    async def close(self) -> None:
        """Close both."""
        await self.home.close()
        if "away" in self.__dict__:
            await self.away.close()
