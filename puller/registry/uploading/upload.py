"""Upload: one blob on its way into a repository, gone on with where the line broke, begun anew where that is lost.

`begin` opens it, or finds out how much of it the registry has; then the rest is brought: all in one request where it
is small, else as one stream that can be taken up again. Nothing exists there before `commit`.
"""

import re
from dataclasses import dataclass, replace
from urllib.parse import quote

import anyio
from yarl import URL

from puller.errors import (
    ConnectionLost,
    DigestMismatch,
    NotFound,
    ProtocolViolation,
    PullerError,
    RegistryError,
    Unauthorized,
)
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.registry.headers import content_digest
from puller.registry.identity.auth import Scope
from puller.registry.retry import Setback
from puller.registry.session import Session
from puller.registry.transport.outflow import Outflow
from puller.registry.transport.redirect import upload_location
from puller.registry.uploading.parcel import Parcel, Receipt
from puller.registry.uploading.refusal import refused

PROGRESS = 1 << 20  # bytes gained after which the failures before are forgotten, as with downloads
COMMIT = 300.0  # seconds: registries over object stores copy a blob when it is complete
_CANCEL = 5.0  # seconds that are spent on telling a registry to forget
_OCTETS = {"Content-Type": "application/octet-stream"}
_LOST = frozenset({404, 410})
_OUT_OF_STEP = 416
_HELD = re.compile(r"(?:bytes=)?0-([0-9]{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a registry: the repository, as its path and what is asked for it."""

    session: Session
    repository: str
    scope: Scope

    def url(self, path: str) -> URL:
        """The URL of `path` under the repository; both are encoded already."""
        return self.session.origin.url(f"{self.session.base}/{self.repository}/{path}")


class Upload:
    """Of one blob. `held`: bytes that the registry has, as far as is known here."""

    def __init__(self, place: Place, expected: Descriptor, *, mount_from: str | None = None) -> None:
        self._place = place
        self._session = place.session
        self._digest = expected.digest
        self._size = expected.size
        self._what = f"upload of {expected.digest.short}"
        self._mount_from = mount_from
        self._trial = place.session.trial(self._what)
        self._location: URL | None = None
        self._secured = 0
        self._refused_at: int | None = None
        self._setback: Setback | None = None
        self.held = 0
        self.is_mounted = False

    @property
    def may_go_on(self) -> bool:
        """Whether it was interrupted by what may pass, so that `begin` is worth calling again."""
        return self._setback is not None

    async def begin(self) -> None:
        """Open it, or find out what is there of an interrupted one, after the wait that takes.

        `is_mounted` says that it is done already: another repository of this registry has lent the blob. Raises
        RegistryError; that of the last interruption, when there were too many without progress.
        """
        setback, self._setback = self._setback, None
        while True:
            if setback is not None:
                await self._trial.after(setback)
            result = await (self._open() if self._location is None else self._ask())
            if result is None:
                return
            setback = result

    async def whole(self, raw: bytes) -> None:
        """Bring a small blob and make it exist. Raises RegistryError, DigestMismatch."""
        await self._complete(raw)

    async def stream(self, outflow: Outflow) -> None:
        """Bring what `outflow` gives, from `held` on. Raises RegistryError."""
        headers = dict(_OCTETS)
        if self.held and self._size is not None:
            # The first part goes as docker sends it, without a range, which every registry takes.
            headers |= {"Content-Range": f"{self.held}-{self._size - 1}", "Content-Length": str(self._size - self.held)}
        start = self.held
        receipt = await self._bring("PATCH", self._known(), {200, 202, 204}, headers, outflow)
        self._moved(receipt)
        told = _held(receipt)
        wanted = start + outflow.taken
        if told is not None and told != wanted:
            raise self._interrupted(
                ConnectionLost("the registry holds another part of the upload", wanted=wanted, got=told)
            )
        self._gained(wanted)

    async def commit(self) -> None:
        """Make it exist. Raises RegistryError, DigestMismatch."""
        await self._complete(b"")

    async def cancel(self, *, within: float = _CANCEL) -> None:
        """Tell the registry to forget it, `within` so many seconds; whether it listens does not matter."""
        location, self._location = self._location, None
        if location is None:
            return
        parcel = Parcel("DELETE", location, self._what, self._place.scope, frozenset({200, 202, 204}))
        with anyio.move_on_after(within, shield=True):
            try:
                await self._session.deliver(parcel)
            except PullerError:
                return

    async def _open(self) -> Setback | None:
        self._gained(0)
        url, accepted = self._place.url("blobs/uploads/"), frozenset({201, 202})
        if self._mount_from is not None:
            source, self._mount_from = self._mount_from, None
            query = f"mount={quote(str(self._digest), safe='')}&from={quote(source, safe='/')}"
            mount = URL(f"{url}?{query}", encoded=True)
            try:
                scope = replace(self._place.scope, lender=source)
                result = await self._deliver(Parcel("POST", mount, self._what, scope, accepted))
            except RegistryError:
                return await self._open()  # not from there, or not by this identity: then the bytes are sent
        else:
            result = await self._deliver(Parcel("POST", url, self._what, self._place.scope, accepted))
        if isinstance(result, Setback):
            return result
        self.is_mounted = result.status == 201
        if self.is_mounted:
            check_kept(result, self._digest)
        else:
            self._location = upload_location(result.header("Location"), result.url)
        return None

    async def _ask(self) -> Setback | None:
        accepted = frozenset({200, 202, 204}) | _LOST
        result = await self._deliver(Parcel("GET", self._known(), self._what, self._place.scope, accepted))
        if isinstance(result, Setback):
            return result
        if result.status in _LOST:
            self._location = None
            return await self._open()
        self._moved(result)
        held = _held(result)
        if held is None or (self._size is not None and held > self._size):
            await self.cancel()
            return await self._open()
        self._gained(held)
        return None

    async def _complete(self, raw: bytes) -> None:
        location = self._known()
        mark = "&" if location.raw_query_string else "?"
        url = URL(f"{location}{mark}digest={quote(str(self._digest), safe='')}", encoded=True)
        receipt = await self._bring("PUT", url, {201, 204}, _OCTETS if raw else {}, raw)
        self._location = None
        check_kept(receipt, self._digest)

    async def _bring(
        self, method: str, url: URL, accepted: set[int], headers: dict[str, str], body: bytes | Outflow
    ) -> Receipt:
        wait = COMMIT if method == "PUT" else None
        statuses = frozenset(accepted | _LOST | {_OUT_OF_STEP})
        result = await self._deliver(
            Parcel(method, url, self._what, self._place.scope, statuses, headers, body, answer_within=wait)
        )
        if isinstance(result, Setback):
            raise self._interrupted(result)
        if result.status in accepted:
            self._refused_at = None
            return result
        error = refused(result, what=self._what)
        if result.status in _LOST and not isinstance(error, NotFound):
            raise error
        if result.status in _LOST:
            self._location = None
        raise self._interrupted(error)

    async def _deliver(self, parcel: Parcel) -> Receipt | Setback:
        try:
            return await self._session.deliver(parcel)
        except PullerError as error:
            error.at(digest=self._digest)
            raise

    def _interrupted(self, why: Setback | RegistryError) -> RegistryError:
        """The error, noted so that it may be gone on with; a second refusal at one place is the end of it."""
        setback = Setback(why) if isinstance(why, RegistryError) else why
        setback.error.at(attempts=self._trial.attempts)
        if isinstance(setback.error, Unauthorized):
            if self._refused_at == self.held:
                return setback.error
            self._refused_at = self.held
        self._setback = setback
        return setback.error

    def _known(self) -> URL:
        if self._location is None:
            raise ProtocolViolation("the upload was not begun, or is over", digest=self._digest)
        return self._location

    def _moved(self, receipt: Receipt) -> None:
        locations = receipt.header("Location")
        if locations:
            self._location = upload_location(locations, receipt.url)

    def _gained(self, held: int) -> None:
        self.held = held
        if held - self._secured >= PROGRESS:
            self._secured = held
            self._trial.progressed()


def check_kept(receipt: Receipt, digest: Digest) -> None:
    """Raise DigestMismatch where the registry says that it has kept other content than was brought (N22)."""
    kept = content_digest(receipt.header("Docker-Content-Digest"))
    if kept is not None and kept.algorithm == digest.algorithm and kept != digest:
        raise DigestMismatch("the registry has kept other content", wanted=digest, got=kept, where=receipt.url.raw_path)


def _held(receipt: Receipt) -> int | None:
    """Bytes of an upload that the registry has, by `Range`; None where it does not say so.

    The range is inclusive, and `0-0` is said of an upload that holds nothing as well: so that says nothing.
    """
    lines = receipt.header("Range")
    match = _HELD.fullmatch(lines[0].strip()) if len(lines) == 1 else None
    if match is None:
        return None
    last = int(match[1])
    return last + 1 if last else None
