"""Gate: one host's. Requests come in, and go when the host and all processes of this user allow it.

Three things can hold a request up: its account has no pulls left (`allowance`), the host wants to be left alone
(`pause`), or it is not its turn yet (`--request-rate`). Tasks that wait for one thing stand in line: the first of them
sleeps for all, it is told once, and where it is cancelled the next takes its place.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import count

import anyio

from puller.registry.quota import wording
from puller.registry.quota.allowance import HELD_LONGEST, Allowance, Hold, Kind, Standing
from puller.registry.quota.headers import Lines, Quota, quota_of
from puller.registry.quota.holder import Holder
from puller.registry.quota.ledger import Ledger
from puller.registry.quota.pause import Pace, Pause
from puller.registry.quota.record import Record
from puller.registry.quota.refusal import Refusal, speaks_of_pulls
from puller.registry.quota.sleeper import Sleeper, Wait
from puller.registry.world import World


@dataclass(slots=True)
class Ticket:
    """A request that was let go at `sent`, with what it holds: a place among the pulls, the probe of a pause, and
    `alone` where it is the first that asks for a manifest.
    """

    account: str
    kind: Kind
    sent: float = 0.0
    place: Hold | None = None
    probe: Hold | None = None
    alone: anyio.Lock | None = None
    refusal: Refusal | None = None
    paused: Pause | None = None  # what there was before it was refused


class Gate:
    """Of one host. `interval`: seconds between two requests, None for none."""

    def __init__(
        self, host: str, ledger: Ledger, *, world: World, sleeper: Sleeper, holder: Holder, interval: float | None
    ) -> None:
        self.host = host
        self.ledger = ledger
        self._world = world
        self._sleeper = sleeper
        self._holder = str(holder)
        self._interval = interval
        self._numbers = count()
        self._in_line = anyio.Lock()
        self._in_lines: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._alone: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._asked: set[str] = set()  # accounts for which a manifest was asked for here
        self._changed = anyio.Event()

    async def enter(self, account: str, kind: Kind, *, max_wait: float) -> Ticket:
        """Wait until a request may go.

        Raises RateLimited, at once, where a quota opens, or a pause ends, in more than `max_wait` seconds.
        """
        ticket = Ticket(account, kind)
        try:
            record = self.ledger.peek()
            if await self._get_place(ticket, record, max_wait):
                record = self.ledger.peek()
            if record.pause is not None or self._interval is not None:
                await self._get_turn(ticket, max_wait)
        except BaseException:
            await self.left(ticket)
            raise
        ticket.sent = self._world.wall()
        return ticket

    def remaining(self, account: str) -> int | None:
        """How many pulls the account has, less those under way; None: that was never told, or is of another window."""
        now = self._world.wall()
        known = self.ledger.peek().at(now).accounts.get(account)
        return None if known is None or now >= known.opening else max(0, known.remaining - len(known.holds))

    async def left(self, ticket: Ticket, *, failed: bool = False) -> None:
        """Nothing was learnt by the request; it may have `failed`. Gives back what it holds, even while cancelled."""
        if failed and ticket.kind is Kind.PULL:
            self._asked.add(ticket.account)  # or all would find out one by one that nobody answers
        with anyio.CancelScope(shield=True):
            if ticket.place is not None or ticket.probe is not None:
                await self.ledger.change(lambda record, now: (_given_back(record, ticket), None))
        self._leave(ticket)

    async def answered(self, ticket: Ticket, status: int, lines: Lines) -> None:
        """The head of the answer is here: learn from it."""
        now = self._world.wall()
        if status == 429:
            ticket.refusal = Refusal.of(lines, now)
        quota = quota_of(lines, now)
        if ticket.kind is not Kind.OTHER and status != 401:
            self._asked.add(ticket.account)
        if ticket.refusal or quota or ticket.place or ticket.probe:

            def learn(record: Record, now: float) -> tuple[Record, None]:
                ticket.paused = None if ticket.probe else record.pause
                if ticket.refusal is None or not ticket.refusal.is_quota:
                    record = _told(record, ticket, quota, is_good=status == 200, now=now)
                if ticket.refusal is not None:
                    record = self._refused(record, ticket, ticket.refusal, now)
                elif ticket.probe is not None:
                    record = replace(record, pause=None)
                return _given_back(record, ticket), None

            await self.ledger.change(learn)
        self._leave(ticket)

    async def explained(self, ticket: Ticket, body: bytes, *, max_wait: float) -> bool:
        """The body of a 429 is here. Whether the host said when to come again, or that is known.

        Raises RateLimited where that is more than `max_wait` seconds ahead.
        """
        refusal = ticket.refusal
        if refusal is None:
            return False
        if not refusal.is_quota and speaks_of_pulls(body):
            ticket.refusal = refusal = replace(refusal, is_quota=True)
            told = refusal

            def learn(record: Record, now: float) -> tuple[Record, None]:
                # What the head alone looked like was a host that wants to be left alone.
                return self._refused(replace(record, pause=ticket.paused), ticket, told, now), None

            await self.ledger.change(learn)
        record = self.ledger.peek()
        wait = None
        if refusal.is_quota:
            known = record.accounts.get(ticket.account)
            wait = None if known is None or known.remaining else self._for_quota(known)
        elif record.pause is not None:
            wait = self._for_pause(record.pause)
        if wait is not None:
            self._sleeper.refuse_long(self.host, wait, allowed=max_wait, asked=True)
        return refusal.is_quota or refusal.end is not None

    def _refused(self, record: Record, ticket: Ticket, refusal: Refusal, now: float) -> Record:
        chance = self._world.random()
        if not refusal.is_quota:
            pause = Pause.begun(record.pause, refusal.end, sent=ticket.sent, now=now, random=chance)
            return replace(record, pause=pause)
        known = record.accounts.get(ticket.account) or Allowance.learnt(refusal.quota, sent=ticket.sent, now=now)
        known = known.refused(refusal.end, sent=ticket.sent, now=now, random=chance)
        return record.with_account(ticket.account, replace(known, breadth=max(known.breadth, ticket.kind)))

    async def _get_place(self, ticket: Ticket, record: Record, max_wait: float) -> bool:
        """Take a place among the pulls of the account, or find that none is needed; whether that took time."""
        account, waited = ticket.account, False
        while True:
            known = self._known(record, account)
            if known is not None:
                if ticket.kind <= known.breadth:
                    await self._wait_for_place(ticket, max_wait)
                    return True
                return waited
            if ticket.kind is not Kind.PULL or account in self._asked:
                return waited
            # Whether pulls are counted here, and how many are left, shows the first answer: so the first goes alone.
            alone = self._alone[account]
            await alone.acquire()
            record, waited = self.ledger.peek(), True
            if account not in self._asked and self._known(record, account) is None:
                ticket.alone = alone
                return waited
            alone.release()

    async def _wait_for_place(self, ticket: Ticket, max_wait: float) -> None:
        number = next(self._numbers)

        def take(record: Record, now: float) -> tuple[Record, tuple[Allowance, Standing] | None]:
            known = record.accounts.get(ticket.account)
            if known is None:
                return record, None
            after, standing = known.taken(self._hold(number, now), now, self._is_alive)
            return record.with_account(ticket.account, after), (after, standing)

        async with self._in_lines[ticket.account]:
            dozing = self._sleeper.begun(self.host, max_wait)
            while True:
                changed = self._changed
                outcome = await self.ledger.change(take)
                if outcome is None:
                    return
                known, standing = outcome
                if standing is Standing.GO:
                    ticket.place = known.holds[-1]
                    return
                if standing is Standing.SPENT:
                    await dozing.until(self._for_quota(known), changed)
                else:
                    awaited = [hold for hold in known.holds if hold.scout] or known.holds
                    here = any(hold.holder == self._holder for hold in awaited)
                    end = max((hold.until for hold in awaited), default=0.0)
                    await dozing.until_settled(changed, here=here, end=end)

    async def _get_turn(self, ticket: Ticket, max_wait: float) -> None:
        """Wait for the end of a pause, and for the next turn where somebody wants a slower pace."""
        number, interval = next(self._numbers), self._interval

        def take(record: Record, now: float) -> tuple[Record, Pause | float]:
            if record.pause is not None:
                probe = self._hold(number, now)
                passed = None if now < record.pause.look else record.pause.passed(probe, now, self._is_alive)
                if passed is None:
                    return record, record.pause
                record = replace(record, pause=passed)
                ticket.probe = probe
            if interval is None:
                return record, now
            pace, turn = Pace.step(record.pace, interval, now)
            return replace(record, pace=pace), turn

        async with self._in_line:
            dozing = self._sleeper.begun(self.host, max_wait)
            while True:
                changed = self._changed
                outcome = await self.ledger.change(take)
                if isinstance(outcome, float):
                    await dozing.for_turn(outcome)
                    return
                if self._world.wall() < outcome.look:
                    await dozing.until(self._for_pause(outcome), changed)
                else:
                    probe = outcome.probe
                    here = probe is not None and probe.holder == self._holder
                    await dozing.until_settled(changed, here=here, end=0.0 if probe is None else probe.until)

    def _known(self, record: Record, account: str) -> Allowance | None:
        known = record.accounts.get(account)
        return None if known is None or known.is_over(self._world.wall()) else known

    @staticmethod
    def _for_quota(known: Allowance) -> Wait:
        return Wait(wording.spent(known), known.look, known.opening, is_quota=True)

    @staticmethod
    def _for_pause(pause: Pause) -> Wait:
        why = "the host asks for a pause" if pause.told else "too many requests"
        return Wait(why, pause.look, pause.until)

    def _hold(self, number: int, now: float) -> Hold:
        return Hold(self._holder, number, now + HELD_LONGEST)

    def _is_alive(self, holder: str) -> bool:
        if holder == self._holder:
            return True
        try:
            return Holder.parse(holder).is_alive()
        except ValueError:
            return False

    def _leave(self, ticket: Ticket) -> None:
        ticket.place = ticket.probe = None
        if ticket.alone is not None:
            ticket.alone.release()
            ticket.alone = None
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


def _told(record: Record, ticket: Ticket, quota: Quota | None, *, is_good: bool, now: float) -> Record:
    known = record.accounts.get(ticket.account)
    if quota is not None:
        told = Allowance.learnt(quota, sent=ticket.sent, now=now)
        told = told if known is None else known.told(quota, sent=ticket.sent, now=now)
        return record.with_account(ticket.account, told)
    is_scout = ticket.place is not None and ticket.place.scout
    return record.without_account(ticket.account) if is_scout and is_good else record  # nothing is counted any more


def _given_back(record: Record, ticket: Ticket) -> Record:
    known = record.accounts.get(ticket.account)
    if ticket.place is not None and known is not None:
        record = record.with_account(ticket.account, known.settled(ticket.place))
    if ticket.probe is not None and record.pause is not None:
        record = replace(record, pause=record.pause.settled(ticket.probe))
    return record
