"""Record: all that is remembered of one host, and its form on disk: one JSON object. What is no such thing is nothing.

It holds no secret: accounts are named by a hash of what the account is called.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self, TypeVar

from puller.errors import InvalidManifest
from puller.model.document import load_document
from puller.registry.quota.allowance import MAX_HOLDS, Allowance, Hold, Kind
from puller.registry.quota.distrust import Distrust
from puller.registry.quota.headers import LONGEST
from puller.registry.quota.pause import Pace, Pause

T = TypeVar("T")

FORM = 1
MAX_BYTES = 256 << 10
MAX_ACCOUNTS = 64
MAX_COUNT = 10**12
_LATEST = 1e11  # seconds since the epoch: the year 5138


def account_key(name: str) -> str:
    """The name that an account has in records; the empty one is nobody."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Record:
    """Of one host. `accounts` are by `account_key`."""

    pause: Pause | None = None
    pace: Pace | None = None
    distrust: Distrust | None = None
    accounts: Mapping[str, Allowance] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read what `dump` wrote; of anything else nothing is known."""
        try:
            document = load_document(raw, what="record of a host", limit=MAX_BYTES)
            return cls._of(document) if document.get("form") == FORM else cls()
        except (InvalidManifest, _Foreign):
            return cls()

    @classmethod
    def _of(cls, document: dict[str, Any]) -> Self:
        accounts = _object(document.get("accounts", {}))
        if len(accounts) > MAX_ACCOUNTS:
            raise _Foreign
        return cls(
            _maybe(document.get("pause"), _pause),
            _maybe(document.get("pace"), _pace),
            _maybe(document.get("distrust"), _distrust),
            {key: _allowance(_object(value)) for key, value in accounts.items()},
        )

    def dump(self) -> bytes:
        """The form on disk."""
        return json.dumps({"form": FORM, **asdict(self)}, separators=(",", ":")).encode("ascii")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remember."""
        return self == Record()

    def at(self, now: float) -> Self:
        """What is still true at `now`."""
        pause = None if self.pause is None or self.pause.is_over(now) else self.pause.at(now)
        pace = None if self.pace is None or self.pace.following < now else self.pace
        distrust = None if self.distrust is None or now > self.distrust.until + LONGEST / 366 else self.distrust.at(now)
        accounts = {key: value.at(now) for key, value in self.accounts.items() if not value.is_over(now)}
        return replace(self, pause=pause, pace=pace, distrust=distrust, accounts=accounts)

    def with_account(self, key: str, allowance: Allowance) -> Self:
        """The same, but for one account; those learnt last are kept where there are too many."""
        accounts = {**self.accounts, key: allowance}
        latest = sorted(accounts, key=lambda name: accounts[name].seen, reverse=True)[:MAX_ACCOUNTS]
        return replace(self, accounts={name: accounts[name] for name in latest})

    def without_account(self, key: str) -> Self:
        """The same, with nothing known of one account."""
        return replace(self, accounts={name: value for name, value in self.accounts.items() if name != key})


class _Foreign(Exception):
    """Not of our making."""


def _maybe(value: object, read: Callable[[dict[str, Any]], T]) -> T | None:
    return None if value is None else read(_object(value))


def _pause(value: dict[str, Any]) -> Pause:
    told, probe = value.get("told"), _maybe(value.get("probe"), _hold)
    return Pause(_time(value, "since"), _time(value, "until"), _count(value, "strikes"), told is True, probe)


def _pace(value: dict[str, Any]) -> Pace:
    return Pace(_time(value, "following"), _time(value, "interval"))


def _distrust(value: dict[str, Any]) -> Distrust:
    return Distrust(_time(value, "since"), _time(value, "until"), _count(value, "failures"))


def _allowance(value: dict[str, Any]) -> Allowance:
    holds = value.get("holds")
    if not isinstance(holds, list) or len(holds) > MAX_HOLDS:
        raise _Foreign
    return Allowance(
        _count(value, "remaining"),
        _time(value, "seen"),
        _time(value, "first"),
        None if value.get("limit") is None else _count(value, "limit"),
        None if value.get("window") is None else min(_time(value, "window"), LONGEST),
        None if value.get("opens") is None else _time(value, "opens"),
        _time(value, "since"),
        value.get("is_ours") is True,
        _kind(value.get("breadth")),
        tuple(_hold(_object(hold)) for hold in holds),
    )


def _hold(value: dict[str, Any]) -> Hold:
    holder = value.get("holder")
    if not isinstance(holder, str) or len(holder) > 200:
        raise _Foreign
    return Hold(holder, _count(value, "number"), _time(value, "until"), value.get("scout") is True)


def _kind(value: object) -> Kind:
    if not isinstance(value, int) or value not in tuple(Kind):
        raise _Foreign
    return Kind(value)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Foreign
    return value


def _count(value: dict[str, Any], key: str) -> int:
    number = value.get(key)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MAX_COUNT:
        raise _Foreign
    return number


def _time(value: dict[str, Any], key: str) -> float:
    number = value.get(key)
    if not isinstance(number, int | float) or isinstance(number, bool) or not -_LATEST <= number <= _LATEST:
        raise _Foreign
    return float(number)
