"""Session: one registry, spoken to with one identity. A request goes out with its token, follows redirects, and comes
back as an answer, a setback that may pass, or an error that will not. Bodies and resuming are in `body`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import anyio
from aiohttp import ClientResponse
from yarl import URL

from puller.contracts.access import Endpoint, Identity, Protection
from puller.errors import ProtocolViolation, RegistryError, UnsafeRedirect
from puller.registry.answer import Answer, Location, Request
from puller.registry.download.shares import Shares
from puller.registry.failure import MAX_ERROR, failed
from puller.registry.headers import retry_after
from puller.registry.identity.auth import Authenticator
from puller.registry.identity.token import MAX_ANSWER, TokenAnswer
from puller.registry.means import Means
from puller.registry.quota.allowance import Kind
from puller.registry.quota.limiter import Asking, Limiter
from puller.registry.retry import Retries, Setback, Trial, passes
from puller.registry.settling import speaks_plain
from puller.registry.transport.lines import Lines
from puller.registry.transport.origin import Origin, redacted, registry_origin
from puller.registry.transport.reach import Reach
from puller.registry.transport.receive import Reception, read_up_to
from puller.registry.transport.redirect import REDIRECTS, Trail
from puller.registry.transport.wire import Wire
from puller.registry.uploading.parcel import Parcel, Receipt
from puller.registry.uploading.refusal import denies_token, refused
from puller.registry.warned import Warnings

_LOG = logging.getLogger(__name__)
# What a signed URL answers when its time is over, by vendor; the registry gives a new one (DEMANDS A4).
_STALE = frozenset({400, 401, 403, 404, 410})


class Session:
    """Asks one registry."""

    def __init__(self, endpoint: Endpoint, identity: Identity | None, means: Means) -> None:
        self.patience = means.patience
        self.world = means.world
        self._endpoint = endpoint
        self._identity = identity
        if endpoint.is_mirror and means.trace is not None:
            means = replace(means, trace=replace(means.trace, is_mirror=True))
        self.trace = means.trace
        self.pool = means.pool
        self.shares = Shares(means.concurrency)
        self.base = endpoint.base
        self._user_agent = means.user_agent
        self._report = means.report
        self._warnings = Warnings(endpoint.registry)
        self._retries = Retries(means.retries, means.world.random)
        self._limiter = means.limiter or Limiter(means.world, report=means.report)
        self._settling = anyio.Lock()
        self._is_settled = endpoint.protection is not Protection.ANY
        self._means = means
        self._speak(endpoint.protection)

    def _speak(self, protection: Protection) -> None:
        """What the registry is to be asked by."""
        endpoint, means = self._endpoint, self._means
        self.origin = registry_origin(endpoint.registry, protection)
        named = endpoint.protection in (Protection.PLAIN, Protection.ANY)
        proven = endpoint.protection is not Protection.ANY
        account = "" if self._identity is None else self._identity.name
        self._visitor = self._limiter.visitor(self.origin.netloc, account, max_wait=means.max_wait, rate=means.rate)
        self._lines = Lines(self.origin, named=named, trust=endpoint.trust, means=means, proven=proven)
        self._authenticator = Authenticator(
            registry=self.origin,
            identity=self._identity,
            request=self._request_token,
            clock=means.world.clock,
            allow_plain=named,
            token_hosts=means.token_hosts,
            trace=means.trace,
        )

    def remark(self, text: str, where: str = "") -> None:
        """Tell of a decision, if anybody wants to know."""
        if self.trace is not None:
            self.trace.remark(text, where)

    def trial(self, what: str) -> Trial:
        """Attempts at one piece of work that this session is asked for."""
        return Trial(self._retries, host=self.origin.netloc, what=what, report=self._report, sleep=self.world.sleep)

    def reception(self, response: ClientResponse, *, into: memoryview | None = None) -> Reception:
        """Reads the body of an answer, watched and throttled as all of this session are."""
        return Reception(response, self.patience, self.world.clock, self._means.throttle, into=into)

    @property
    def reach(self) -> Reach:
        """How far inside it lies, as far as is known: nobody it sends us to may lie further (THREATS B8)."""
        return self._lines.home.boundary.seen or Reach.PUBLIC

    @property
    def has_shown_credentials(self) -> bool:
        """Whether the account's secret has been sent to anybody."""
        return self._authenticator.has_shown_credentials

    @property
    def pulls_left(self) -> int | None:
        """How many pulls the registry still grants, as it has told; None: it has not."""
        return self._visitor.remaining()

    async def read(self, request: Request, *, limit: int) -> tuple[Answer, bytes]:
        """A whole small body with its answer, after as many attempts as it takes.

        Raises what `attempt` raises, and ProtocolViolation for a body of more than `limit` bytes.
        """
        trial = self.trial(request.what)
        while True:
            try:
                result = await self.attempt(request)
                if isinstance(result, Answer):
                    return result, await self._whole(result, limit)
            except RegistryError as error:
                if not error.retryable or error.attempts is not None:
                    error.at(attempts=trial.attempts)
                    raise
                result = Setback(error)
            await trial.after(result)

    async def greet(self, request: Request) -> tuple[Answer, bytes]:
        """What is said to a stranger, as it comes: whatever its status, the first bytes of its body. RegistryError."""
        await self._settle()
        answer = await self._followed(request, None)
        return answer, await self._drain(answer)

    async def attempt(self, request: Request, *, at: Location | None = None) -> Answer | Setback:
        """Ask once: authenticate, follow redirects, judge the head. The caller closes the answer.

        An answer is 200, or to a request for a range also 206 or 416. Raises RegistryError where no retry will help.
        `at` is where this registry has sent an earlier request: asked as it was then, without secrets, and left for
        stale when it does anything but answer.
        """
        try:
            await self._settle()
            answer = await self._authorized(request) if at is None else await self._asked_at(at, request)
            return await self._judged(request, answer)
        except RegistryError as error:
            error.at(host=self.origin.netloc)
            # Whoever has counted attempts has retried already: the token request inside this one.
            if error.retryable and error.attempts is None:
                return Setback(error)
            raise

    async def deliver(self, parcel: Parcel) -> Receipt | Setback:
        """Bring a parcel once; whether it may be brought again is for the caller to know (RELIABILITY R8).

        A token that is refused is replaced once; a parcel that cannot be repeated comes back as a setback then. Raises
        RegistryError where no other attempt will help.
        """
        try:
            await self._settle()
            return await self._delivered(parcel)
        except RegistryError as error:
            error.at(host=self.origin.netloc)
            if error.retryable and error.attempts is None:
                return Setback(error)
            raise

    async def close(self) -> None:
        """Close all connections."""
        await self._lines.close()

    async def _settle(self) -> None:
        """Find out what a host speaks that was set up as insecure, before it is first asked."""
        if self._is_settled:
            return
        async with self._settling:
            if not self._is_settled and await speaks_plain(self._endpoint, self._means):
                await self._lines.close()
                self._speak(Protection.PLAIN)
            self._is_settled = True

    async def _authorized(self, request: Request) -> Answer:
        authorization = await self._authenticator.authorization(request.scope)
        answer = await self._followed(request, authorization)
        if not self._wants_other_token(answer, authorization):
            return answer
        challenges = answer.header("WWW-Authenticate")
        await self._drain(answer)
        authorization = await self._authenticator.challenged(request.scope, challenges, rejected=authorization)
        return await self._followed(request, authorization)

    async def _asked_at(self, location: Location, request: Request) -> Answer:
        headers = request.headers(location.origin, user_agent=self._user_agent, authorization=None)
        wire = self._lines.to(location.origin, at_home=False)
        response = await self._send(wire, request.method, location.url, headers)
        return Answer(response, location.origin, at_home=False, redirected=True)

    @staticmethod
    def _wants_other_token(answer: Answer, authorization: str | None) -> bool:
        # ECR Public answers 400 to an expired token (DEMANDS E40); without a token sent a 400 is about the request.
        with_token = authorization is not None and authorization.startswith("Bearer ")
        return answer.at_home and (answer.status == 401 or (answer.status == 400 and with_token))

    async def _followed(self, request: Request, authorization: str | None) -> Answer:
        trail = Trail(self.origin.url(self._asked_as(request.path)))
        while True:
            secret = authorization if trail.at_home else None
            headers = request.headers(trail.origin, user_agent=self._user_agent, authorization=secret)
            if trail.at_home:
                headers = self._with_own(headers)
            wire = self._lines.to(trail.origin, at_home=trail.at_home)
            response = await self._send(wire, request.method, trail.url, headers)
            answer = Answer(response, trail.origin, trail.at_home, trail.redirected)
            if answer.at_home:
                self._warnings.hear(answer.texts("Warning"))
            if response.status not in REDIRECTS:
                return answer
            await self._drain(answer)
            trail.follow(answer.header("Location"))
            if self.trace is not None:
                self.trace.redirected(response, trail.url, with_secrets=trail.at_home)

    async def _judged(self, request: Request, answer: Answer) -> Answer | Setback:
        if answer.status == 200 or (answer.status in (206, 416) and request.is_ranged):
            self._refuse_encoding(answer)
            self._retries.succeeded()
            return answer
        body = await self._drain(answer)
        is_plain = answer.origin.scheme == "http"
        error = failed(answer.status, body, what=request.what, host=answer.origin.netloc, plain=is_plain)
        if not answer.at_home and (answer.status in _STALE or answer.status in REDIRECTS):
            return Setback(error, stale=True)
        if passes(answer.status):
            return await self._setback(error, answer.response, body)
        raise error

    @staticmethod
    def _refuse_encoding(answer: Answer) -> None:
        # Bytes that were compressed on the way are not the bytes of the digest (THREATS B17, N21).
        encodings = [value for value in answer.header("Content-Encoding") if value.strip().lower() != "identity"]
        if encodings:
            answer.close()
            got = ", ".join(encodings)[:80]
            raise ProtocolViolation("the body is encoded although identity was asked for", got=got)

    async def _delivered(self, parcel: Parcel) -> Receipt | Setback:
        authorization = await self._authenticator.authorization(parcel.scope)
        receipt = await self._handed_over(parcel, authorization)
        if not denies_token(receipt.status, receipt.body, authorization):
            return self._taken(parcel, receipt)
        challenges = receipt.header("WWW-Authenticate")
        authorization = await self._authenticator.challenged(parcel.scope, challenges, rejected=authorization)
        if not parcel.can_repeat:
            return Setback(refused(receipt, what=parcel.what))
        return self._taken(parcel, await self._handed_over(parcel, authorization))

    async def _handed_over(self, parcel: Parcel, authorization: str | None) -> Receipt:
        length = {"Content-Length": str(len(parcel.body or b""))} if isinstance(parcel.body, bytes | None) else {}
        headers = {"User-Agent": self._user_agent, "Accept": "*/*", "Accept-Encoding": "identity", **parcel.headers}
        headers |= length if parcel.method in ("POST", "PUT", "PATCH") else {}
        if authorization is not None:
            headers["Authorization"] = authorization
        if Origin.of(parcel.url) != self.origin:
            raise UnsafeRedirect("upload to another origin", where=redacted(parcel.url), wanted=self.origin)
        headers = self._with_own(headers)
        wire, within = self._lines.home, parcel.answer_within
        response = await self._send(
            wire, parcel.method, parcel.url, headers, body=parcel.body or None, answer_within=within
        )
        answer = Answer(response, self.origin, at_home=True, redirected=False)
        self._warnings.hear(answer.texts("Warning"))
        body = await self._drain(answer)
        lines = {name.lower(): response.headers.getall(name) for name in response.headers}
        foreseen = response.status == 429 and await self._visitor.explained(response, body)
        return Receipt(response.status, parcel.url, lines, body, foreseen)

    def _taken(self, parcel: Parcel, receipt: Receipt) -> Receipt | Setback:
        if receipt.status in parcel.accepted:
            self._retries.succeeded()
            return receipt
        error = refused(receipt, what=parcel.what)
        if passes(receipt.status):
            is_held = receipt.status == 429
            wait = None if is_held else self._asked_to_wait(receipt.header("Retry-After"))
            return Setback(error, wait, held=is_held, foreseen=receipt.foreseen)
        raise error

    def _asked_as(self, path: str) -> str:
        """`path` as this host wants it: a mirror of containerd's is told whom it stands for (docs/hosts.md, `ns`)."""
        namespace = self._endpoint.namespace
        return f"{path}{'&' if '?' in path else '?'}ns={quote(namespace, safe='')}" if namespace else path

    def _with_own(self, headers: dict[str, str]) -> dict[str, str]:
        """With the headers that are set up for this host; what is sent anyway counts before them (THREATS B6)."""
        if not self._endpoint.headers:
            return headers
        sent = {name.lower() for name in headers}
        return {**{name: value for name, value in self._endpoint.headers if name.lower() not in sent}, **headers}

    async def _send(self, wire: Wire, method: str, url: URL, headers: Mapping[str, str], **more: Any) -> ClientResponse:
        """Send a request when the limits of its host allow it. `more` is as `Wire.send` has it."""
        asking = Asking(Origin.of(url).netloc, Kind.of(method, url.raw_path), "Authorization" in headers)
        return await self._visitor.ask(asking, lambda: wire.send(method, url, headers, **more))

    async def _setback(self, error: RegistryError, response: ClientResponse, body: bytes) -> Setback:
        """The setback that an answer is; `body` is its first bytes. Raises RateLimited for too long a wait."""
        if response.status == 429:
            return Setback(error, held=True, foreseen=await self._visitor.explained(response, body))
        return Setback(error, self._asked_to_wait(response.headers.getall("Retry-After", [])))

    def _asked_to_wait(self, lines: Sequence[str]) -> float | None:
        return retry_after(lines[0], self.world.wall()) if len(lines) == 1 else None

    async def _whole(self, answer: Answer, limit: int) -> bytes:
        try:
            body = await read_up_to(self.reception(answer.response), limit)
        finally:
            answer.close()
        if len(body) > limit:
            raise ProtocolViolation("the answer is too large", wanted=f"at most {limit} bytes")
        return body

    async def _drain(self, answer: Answer) -> bytes:
        """The first bytes of a body nobody needs; reading it to its end keeps the connection usable.

        What it repeats of the request's secrets is taken out: it may be shown (THREATS B15).
        """
        try:
            return answer.hushed(await read_up_to(self.reception(answer.response), MAX_ERROR))
        except RegistryError:
            return b""
        finally:
            answer.close()

    async def _request_token(
        self, method: str, url: str, *, headers: Mapping[str, str], form: Mapping[str, str] | None, public_only: bool
    ) -> TokenAnswer:
        """The TokenRequest of this registry: its TLS policy, its pools, no redirects (THREATS B3, B4, N12).

        Only GET is asked again: a POST may have spent a refresh token (RELIABILITY R8).
        """
        target = URL(url, encoded=True)
        sent = {"User-Agent": self._user_agent, "Accept": "application/json", "Accept-Encoding": "identity", **headers}
        wire = self._lines.to_token_server(Origin.of(target), public_only=public_only)
        trial = self.trial("token")
        while True:
            try:
                response = await self._send(wire, method, target, sent, form=form)
                answer = await self._token_answer(response)
                if not passes(answer.status):
                    return answer
                refusal = failed(answer.status, b"", what="token", host=Origin.of(target).netloc)
                setback = await self._setback(refusal, response, answer.body)
            except RegistryError as error:
                if not error.retryable or error.attempts is not None:
                    raise
                setback = Setback(error)
            if method != "GET":
                raise setback.error.at(attempts=trial.attempts)
            await trial.after(setback)

    async def _token_answer(self, response: ClientResponse) -> TokenAnswer:
        try:
            body = await read_up_to(self.reception(response), MAX_ANSWER)
        finally:
            response.close()
        return TokenAnswer(response.status, response.headers, body)
