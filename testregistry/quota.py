"""A quota: so many pulls in a window, told by headers and held to with 429, as Docker Hub and others do it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Literal, TypeAlias

from testregistry.answer import Answer, json_answer
from testregistry.auth import Auth, Basic, Bearer, user_of
from testregistry.body import BytesBody
from testregistry.call import Call

Kind: TypeAlias = Literal["hub", "ietf", "x", "abuse"]
_READING = ("GET", "HEAD")


@dataclass(slots=True)
class Window:
    """What one of those who are counted has used since `began`; None: the next request begins it."""

    used: int
    began: float | None


class Quota:
    """`limit` pulls, which are GETs of manifests, in `window` seconds from the first one on; `used` are used at first.

    `kind` is how it is told: by the headers and the message of Docker Hub ("hub"), by `RateLimit` of the IETF drafts
    ("ietf"), by `X-RateLimit-…` ("x"), or not at all ("abuse"), which counts every request and answers a bare 429.
    `tells` False: no headers, be it of the Hub's. `per` "ip": all are counted together, since all come from one
    address; "user": each account for itself, and those without one together. `clock` is in seconds since the epoch.
    """

    def __init__(
        self,
        limit: int,
        window: float,
        *,
        used: int = 0,
        kind: Kind = "hub",
        per: Literal["ip", "user"] = "ip",
        tells: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limit = limit
        self.window = window
        self.kind = kind
        self.per = per
        self.tells = tells
        self._clock = clock
        self._used = used
        self._created = clock() if used else None
        self._windows: dict[str, Window] = {}

    def left(self, user: str = "") -> int:
        """How many pulls are left now."""
        return max(0, self.limit - self._window(user).used)

    def counts(self, call: Call) -> bool:
        """Whether a request takes something of it."""
        return self.kind == "abuse" or (call.target.kind == "manifest" and call.method == "GET")

    def refusal(self, call: Call, auth: Auth) -> Answer | None:
        """Count a request; the 429 that it gets when nothing is left."""
        if not self.counts(call):
            return None
        user = self._counted_as(call, auth)
        window = self._window(user)
        if window.used >= self.limit:
            return self._refused(user)
        window.used += 1
        window.began = self._clock() if window.began is None else window.began
        return None

    def told(self, answer: Answer, call: Call, auth: Auth) -> Answer:
        """The answer with what is left, where it is about a manifest."""
        if call.target.kind != "manifest" or call.method not in _READING or answer.status not in (200, 429):
            return answer
        return answer.with_headers(*self._headers(self._counted_as(call, auth)))

    def _refused(self, user: str) -> Answer:
        if self.kind == "abuse":
            return Answer(429, (("Content-Type", "text/plain"),), BytesBody(b"Too Many Requests\n"))
        # The words by which clients tell it from the other limit (docs.docker.com/docker-hub/usage/pulls).
        message = "You have reached your pull rate limit." if self.kind == "hub" else "too many requests"
        return json_answer(429, {"errors": [{"code": "TOOMANYREQUESTS", "message": message}]})

    def _headers(self, user: str) -> list[tuple[str, str]]:
        left, reset = self.left(user), self._reset(user)
        if not self.tells or self.kind == "abuse":
            return []
        if self.kind == "hub":
            words = f";w={self.window:.0f}"
            return [("ratelimit-limit", f"{self.limit}{words}"), ("ratelimit-remaining", f"{left}{words}")]
        if self.kind == "ietf":
            policy = f'"default";q={self.limit};w={self.window:.0f}'
            return [("RateLimit-Policy", policy), ("RateLimit", f'"default";r={left};t={ceil(reset)}')]
        told = {"Limit": self.limit, "Remaining": left, "Reset": int(self._clock() + reset + 1)}
        return [(f"X-RateLimit-{name}", str(value)) for name, value in told.items()]

    def _reset(self, user: str) -> float:
        began = self._window(user).began
        return self.window if began is None else max(0.0, began + self.window - self._clock())

    def _window(self, user: str) -> Window:
        window = self._windows.setdefault(user, Window(self._used, self._created))
        if window.began is not None and self._clock() >= window.began + self.window:
            window.used, window.began = 0, None
        return window

    def _counted_as(self, call: Call, auth: Auth) -> str:
        return "" if self.per == "ip" or not isinstance(auth, Basic | Bearer) else user_of(call, auth)
