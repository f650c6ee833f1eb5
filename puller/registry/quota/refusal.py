"""Refusal: which limit a 429 speaks of. Pure.

Docker Hub answers 429 for two reasons (docs.docker.com/docker-hub/usage, "Abuse rate limit"): the pulls of an account
are used up, which is told with a message of its own; or the host has had enough of this address, which is a bare 429.
"""

from dataclasses import dataclass
from typing import Self

from puller.registry.failure import messages
from puller.registry.quota.headers import Lines, Quota, end_told, quota_of

_PULL_LIMIT = "pull rate limit"


@dataclass(frozen=True, slots=True)
class Refusal:
    """`quota`: what the answer tells of it. `end`: when to come again, seconds since the epoch; None: not told.

    `is_quota`: an account's share is used up; else it is the host that wants to be left alone.
    """

    is_quota: bool
    quota: Quota | None
    end: float | None

    @classmethod
    def of(cls, lines: Lines, now: float) -> Self:
        """Judge a 429 by its headers."""
        quota, end = quota_of(lines, now), end_told(lines, now)
        if quota is None or quota.remaining:
            return cls(False, quota, end)
        return cls(True, quota, quota.reset if end is None else end)


def speaks_of_pulls(body: bytes) -> bool:
    """Whether the first bytes of a 429's body have the message of Docker Hub for an account without pulls."""
    return any(_PULL_LIMIT in message.lower() for message in messages(body))
