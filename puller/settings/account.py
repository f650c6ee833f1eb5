"""Accounts whose secrets have to be asked for, and several that are tried one after the other."""

import base64
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import anyio

from puller.contracts.access import Credential, Identity
from puller.errors import InvalidConfig, InvalidManifest
from puller.model.document import load_document
from puller.settings.dockerconfig import Helped

EARLY = 60.0  # seconds before the end of a secret from which on another is asked for
REMEMBERED = 60.0  # seconds that a failure is not tried again: a helper that hangs would hold up every task anew
_MAX_CLAIMS = 64 << 10


class Asking(Protocol):
    """Gives secrets of helpers."""

    async def get(self, account: Helped) -> Credential | None:
        """The secret; None: there is none. Raises InvalidConfig."""
        ...


class HelpedIdentity:
    """An account that a helper knows. It is asked once, however many tasks want to know, and again when the secret
    ends (`wall`, in seconds of the epoch) or is refused. `clock` is monotonic.
    """

    def __init__(
        self,
        helpers: Asking,
        account: Helped,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._helpers = helpers
        self._account = account
        self._clock = clock
        self._wall = wall
        self._lock = anyio.Lock()
        self._asked = False
        self._known: Credential | None = None
        self._refused: Credential | None = None
        self._end: float | None = None
        self._failure: tuple[InvalidConfig, float] | None = None

    @property
    def name(self) -> str:
        """The helper and what it is asked for."""
        return f"docker-credential-{self._account.helper} for {self._account.server}"

    async def credential(self) -> Credential | None:
        """The secret; None: the helper knows none. Raises InvalidConfig."""
        async with self._lock:
            if not self._asked or (self._end is not None and self._wall() >= self._end):
                await self._ask()
            return self._known

    async def renewed(self, refused: Credential) -> Credential | None:
        """The secret that the helper has now, if it is another; for one that was refused it is asked once more only."""
        async with self._lock:
            if self._known == refused and self._refused != refused:
                self._refused = refused
                await self._ask()
            return None if self._known == refused else self._known

    async def _ask(self) -> None:
        if self._failure is not None and self._clock() < self._failure[1]:
            raise copy.copy(self._failure[0])
        try:
            self._known = await self._helpers.get(self._account)
        except InvalidConfig as error:
            self._failure = copy.copy(error), self._clock() + REMEMBERED
            raise
        self._asked = True
        self._failure = None
        self._end = _early_end(self._known, self._wall())


@dataclass(frozen=True, slots=True)
class Chain:
    """Accounts in the order in which they are asked; the first that has a secret counts."""

    links: tuple[Identity, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """All of them: what one has nothing for, another may have, so each chain is an account of its own."""
        return ", else ".join(link.name for link in self.links)

    async def credential(self) -> Credential | None:
        """The first secret. Raises InvalidConfig: an account that cannot be asked is not passed over (THREATS B11)."""
        for link in self.links:
            if (known := await link.credential()) is not None:
                return known
        return None

    async def renewed(self, refused: Credential) -> Credential | None:
        """Another secret of the account that the refused one is of."""
        for link in self.links:
            if (known := await link.credential()) is not None:
                return await link.renewed(refused) if known == refused else known
        return None


def _early_end(credential: Credential | None, now: float) -> float | None:
    """When to ask again for a secret that says when it ends; None: when it is refused."""
    claimed = None if credential is None else expiry(credential.identity_token or credential.password)
    return None if claimed is None or claimed - EARLY <= now else claimed - EARLY


def expiry(secret: str) -> float | None:
    """The `exp` of a JWT (RFC 7519 §4.1.4), in seconds of the epoch; None for any other secret. Nothing is verified."""
    parts = secret.split(".")
    if len(parts) != 3 or not all(parts[:2]) or len(secret) > _MAX_CLAIMS:
        return None
    try:
        raw = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        claimed = load_document(raw, what="claims").get("exp")
    except (ValueError, InvalidManifest):
        return None
    return float(claimed) if isinstance(claimed, int | float) and not isinstance(claimed, bool) else None
