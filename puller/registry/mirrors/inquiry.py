"""Inquiry: one question put to one host after the other until somebody answers it; and who was passed over, and why."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from puller.errors import InputError, NotFound, PullerError, RegistryError, Unauthorized, VerificationError
from puller.model.event import PassedOver, Report
from puller.model.report import Passed
from puller.registry.mirrors.health import Health
from puller.registry.mirrors.replica import Replica
from puller.registry.repository import Repository


@dataclass(frozen=True, slots=True)
class Turn:
    """A host that is asked now. `hasty`: others can be asked after it."""

    replica: Replica
    hasty: bool

    @property
    def repository(self) -> Repository:
        """Raises InvalidConfig for settings that are of no use for this host."""
        return self.replica.repository(hasty=self.hasty)


class Inquiry:
    """About `what`. `replicas` are those that may be asked, in order. `refused` are mirrors that did not let us in;
    those that do not now are added.

    Mirrors that are distrusted, or failed in haste, come once more at the very end, with all patience: where the
    registry cannot be reached, a slow mirror is better than none. Not where the registry says that there is no such
    thing.
    """

    def __init__(
        self, what: str, replicas: Sequence[Replica], health: Health, report: Report, *, refused: set[Replica]
    ) -> None:
        self._what = what
        self._replicas = replicas
        self._health = health
        self._report = report
        self._refused = refused
        self._errors: list[tuple[Replica, PullerError]] = []
        self._passed: list[Passed] = []
        self._news: list[Passed] = []
        self._told = 0
        self._turns = self._order()
        self._again: Turn | None = None

    @property
    def passed(self) -> tuple[Passed, ...]:
        """Who was not asked, or asked in vain, in that order, and why."""
        return tuple(dict.fromkeys(self._passed))

    def next(self) -> Turn:
        """Whom to ask now. Raises the error of the registry when there is nobody left."""
        again, self._again = self._again, None
        turn = again or next(self._turns, None)
        if turn is None:
            raise self._verdict()
        for replica, error in self._errors[self._told :]:
            if not isinstance(error, NotFound):  # that a mirror does not have all is no news
                self._report(PassedOver(replica.host, self._what, error.what, turn.replica.host))
        self._told = len(self._errors)
        for passed in self._news:
            self._report(PassedOver(passed.host, self._what, passed.reason, turn.replica.host))
        self._news.clear()
        return turn

    def failed(self, turn: Turn, error: PullerError) -> None:
        """The host did not answer it."""
        replica = turn.replica
        self._errors.append((replica, error))
        self._passed.append(Passed(replica.host, error.what))
        if isinstance(error, Unauthorized) and replica.endpoint.is_mirror:
            self._refused.add(replica)
        lied = isinstance(error, VerificationError)
        if lied or (isinstance(error, RegistryError) and not isinstance(error, NotFound | Unauthorized)):
            self._health.note_failure(replica.host, error.what, lied=lied)

    def answered(self, turn: Turn) -> None:
        """The host answered it, and is to be asked next again: what follows from the answer is of the same question."""
        self._health.note_success(turn.replica.host)
        self._again = turn

    def pass_over(self, hosts: Iterable[str], reason: str, *, news: Collection[str] = ()) -> None:
        """These are not asked at all; of those that are `news` the listener has not heard yet."""
        passed = [Passed(host, reason) for host in hosts]
        self._passed += passed
        self._news += [one for one in passed if one.host in news]

    def _order(self) -> Iterator[Turn]:
        waiting = []
        *_, last = self._replicas or (None,)
        for replica in self._replicas:
            can_wait = replica.endpoint.is_mirror and replica is not last
            if can_wait and replica in self._refused:
                self.pass_over([replica.host], "refused before")
            elif can_wait and self._health.is_distrusted(replica.host):
                self.pass_over([replica.host], f"distrusted: {self._health.reason(replica.host)}")
                waiting.append(replica)
            else:
                yield Turn(replica, hasty=can_wait)
                waiting += [replica] if can_wait else []
        errors = dict(self._errors)
        if not isinstance(self._last_word(errors), NotFound):
            for replica in waiting:
                error = errors.get(replica)
                if error is None or (isinstance(error, RegistryError) and error.retryable):
                    yield Turn(replica, hasty=False)

    def _last_word(self, errors: dict[Replica, PullerError]) -> PullerError | None:
        """What the registry said, or the last of those who stand for it."""
        said = [error for replica, error in errors.items() if not replica.endpoint.is_mirror] or [*errors.values()]
        return said[-1] if said else None

    def _verdict(self) -> PullerError:
        """The error of the registry, with what all others said."""
        errors = dict(self._errors)
        verdict = self._last_word(errors)
        if verdict is None:
            return NotFound(f"nobody may be asked for {self._what}")
        if isinstance(verdict, InputError):
            verdict = self._errors[-1][1]
        silent = {replica.host for replica, error in errors.items() if error is verdict}
        for passed in self.passed:
            if passed.host not in silent:
                verdict.add_note(f"{passed.host}: {passed.reason}")
        return verdict
