"""Limiter: the gates of all hosts that one client asks; and the Visitor, who goes through them with one account."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakKeyDictionary

import aiohttp

from puller.errors import PullerError
from puller.model.event import Report, unheard
from puller.registry.pace import MAX_WAIT
from puller.registry.quota.allowance import Kind
from puller.registry.quota.distrust import Distrust
from puller.registry.quota.gate import Gate, Ticket
from puller.registry.quota.holder import Holder
from puller.registry.quota.ledger import Ledger, Ledgers
from puller.registry.quota.record import Record, account_key
from puller.registry.quota.sleeper import Sleeper
from puller.registry.world import World


@dataclass(frozen=True, slots=True)
class Asking:
    """What is about to be asked of `host`, as far as it matters here; `with_secret`: as somebody."""

    host: str
    kind: Kind
    with_secret: bool = False


MAX_AWAY = 256
_NOBODY = account_key("")


class Limiter:
    """`folder` is where processes share what they know, None: they do not. `request_rate`: requests per second to one
    host, None for as many as come.
    """

    def __init__(
        self, world: World, *, report: Report = unheard, folder: Path | None = None, request_rate: float | None = None
    ) -> None:
        self._world = world
        self._ledgers = Ledgers(folder, world.wall)
        self._sleeper = Sleeper(world, report)
        self._holder = Holder.this()
        self._rate = request_rate
        self._rates: dict[str, float] = {}
        self._gates: dict[str, Gate] = {}
        self._away: dict[str, Gate] = {}

    def gate(self, host: str) -> Gate:
        """That of `host`, or `host:port`, which somebody has named."""
        if host not in self._gates:
            self._gates[host] = self._gate(host, self._ledgers.of(host))
        return self._gates[host]

    def gate_away(self, host: str) -> Gate:
        """That of a host which a registry sends us to. Such names are without number, so that none makes a file."""
        if host not in self._away:
            while len(self._away) >= MAX_AWAY:
                del self._away[next(iter(self._away))]
            self._away[host] = self._gate(host, Ledger(None, self._world.wall))
        return self._away[host]

    def _gate(self, host: str, ledger: Ledger) -> Gate:
        world, sleeper, holder = self._world, self._sleeper, self._holder
        rate = self._rates.get(host, self._rate)
        interval = None if rate is None else 1 / rate
        return Gate(host, ledger, world=world, sleeper=sleeper, holder=holder, interval=interval)

    def visitor(self, home: str, account: str, *, max_wait: float = MAX_WAIT, rate: float | None = None) -> "Visitor":
        """One who is `account` at the host `home`, "" for nobody, and nobody elsewhere.

        `rate`: requests per second to `home`, for all who ask it, if nobody has asked it yet.
        """
        if rate is not None:
            self._rates[home] = rate
        return Visitor(self, home, account_key(account), max_wait)

    def note_failure(self, host: str, seconds: float) -> None:
        """Have all processes ask others before `host` for so many seconds."""

        def distrust(record: Record, now: float) -> tuple[Record, None]:
            return replace(record, distrust=Distrust.grown(record.distrust, seconds, now)), None

        self._ledgers.of(host).try_change(distrust)

    def note_success(self, host: str) -> None:
        """It has given what was asked for. That ends no distrust, but a line of failures whose last one is over."""
        ledger = self._ledgers.of(host)
        if ledger.peek().distrust is None:
            return

        def trust(record: Record, now: float) -> tuple[Record, None]:
            over = record.distrust is not None and now >= record.distrust.until
            return replace(record, distrust=None if over else record.distrust), None

        ledger.try_change(trust)

    def distrusted_for(self, host: str) -> tuple[float, int]:
        """Seconds for which others are to be asked before `host`, 0 for none; and its failures in a row."""
        distrust = self._ledgers.of(host).peek().distrust
        if distrust is None:
            return 0.0, 0
        now = self._world.wall()
        return max(0.0, distrust.at(now).until - now), distrust.failures


class Visitor:
    """Asks hosts when it may: `home` as one account, others as nobody. Waits no longer than `max_wait` seconds."""

    def __init__(self, limiter: Limiter, home: str, account: str, max_wait: float) -> None:
        self._limiter = limiter
        self._home = home
        self._account = account
        self._max_wait = max_wait
        self._wants_token = False
        self._refused: WeakKeyDictionary[aiohttp.ClientResponse, tuple[Gate, Ticket]] = WeakKeyDictionary()

    async def ask(
        self, asking: Asking, send: Callable[[], Awaitable[aiohttp.ClientResponse]]
    ) -> aiohttp.ClientResponse:
        """Wait until a request may go, send it, and learn from the head of its answer.

        Raises what `send` raises, and RateLimited where the wait would be too long.
        """
        at_home = asking.host == self._home
        kind = asking.kind
        if kind is Kind.PULL and at_home and self._wants_token and not asking.with_secret:
            kind = Kind.OTHER  # it will be turned away, and counts for nothing
        gate = self._limiter.gate(asking.host) if at_home else self._limiter.gate_away(asking.host)
        ticket = await gate.enter(self._account if at_home else _NOBODY, kind, max_wait=self._max_wait)
        try:
            response = await send()
        except BaseException as error:
            await gate.left(ticket, failed=isinstance(error, PullerError))
            raise
        try:
            await gate.answered(ticket, response.status, lambda name: response.headers.getall(name, ()))
        except BaseException:
            response.close()
            raise
        self._wants_token = self._wants_token or (at_home and response.status == 401)
        if response.status == 429:
            self._refused[response] = gate, ticket
        return response

    def remaining(self) -> int | None:
        """How many pulls the account has left at home, as far as that was told."""
        return self._limiter.gate(self._home).remaining(self._account)

    async def explained(self, response: aiohttp.ClientResponse, body: bytes) -> bool:
        """After a 429, with the first bytes of its body: whether the end is known of what has to be waited for.

        Raises RateLimited where that is too far ahead.
        """
        gate, ticket = self._refused.pop(response)
        return await gate.explained(ticket, body, max_wait=self._max_wait)
