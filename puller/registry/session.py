"""Session: one registry, spoken to with one identity. A request goes out with its token, follows redirects, and comes
back as an answer, a setback that may pass, or an error that will not. Bodies and resuming are in `body`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import aiohttp
from yarl import URL

from puller.contracts.access import Endpoint, Identity, Protection
from puller.errors import ProtocolViolation, RegistryError, UnsafeRedirect
from puller.registry.answer import Answer, Request
from puller.registry.failure import MAX_ERROR, failed
from puller.registry.headers import retry_after
from puller.registry.identity.auth import Authenticator
from puller.registry.identity.token import MAX_ANSWER, TokenAnswer
from puller.registry.means import Means
from puller.registry.retry import Retries, Setback, Trial, passes
from puller.registry.transport.lines import Lines
from puller.registry.transport.origin import Origin, redacted, registry_origin
from puller.registry.transport.receive import read_up_to
from puller.registry.transport.redirect import REDIRECTS, Trail
from puller.registry.uploading.parcel import Parcel, Receipt
from puller.registry.uploading.refusal import denies_token, refused

# What a signed URL answers when its time is over, by vendor; the registry gives a new one (DEMANDS A4).
_STALE = frozenset({400, 401, 403, 404, 410})


class Session:
    """Asks one registry."""

    def __init__(self, endpoint: Endpoint, identity: Identity | None, means: Means) -> None:
        self.origin = registry_origin(endpoint.registry, endpoint.protection)
        self.patience = means.patience
        self.world = means.world
        named = endpoint.protection is Protection.PLAIN
        if endpoint.is_mirror and means.trace is not None:
            means = replace(means, trace=replace(means.trace, is_mirror=True))
        self.trace = means.trace
        self._lines = Lines(self.origin, named=named, trust=endpoint.trust, means=means)
        self.base = endpoint.base
        self._user_agent = means.user_agent
        self._report = means.report
        self._retries = Retries(means.retries, means.world.random)
        self._authenticator = Authenticator(
            registry=self.origin,
            identity=identity,
            request=self._request_token,
            clock=means.world.clock,
            allow_plain=named,
            token_hosts=means.token_hosts,
            trace=means.trace,
        )

    def trial(self, what: str) -> Trial:
        """Attempts at one piece of work that this session is asked for."""
        return Trial(self._retries, host=self.origin.netloc, what=what, report=self._report, sleep=self.world.sleep)

    @property
    def has_shown_credentials(self) -> bool:
        """Whether the account's secret has been sent to anybody."""
        return self._authenticator.has_shown_credentials

    @property
    def has_shown_credentials(self) -> bool:
        """Whether the account's secret has been sent to anybody."""
        return self._authenticator.has_shown_credentials

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

    async def attempt(self, request: Request) -> Answer | Setback:
        """Ask once: authenticate, follow redirects, judge the head. The caller closes the answer.

        An answer is 200, or to a request with `start` also 206 or 416. Raises RegistryError where no retry will help.
        """
        try:
            answer = await self._authorized(request)
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
            return await self._delivered(parcel)
        except RegistryError as error:
            error.at(host=self.origin.netloc)
            if error.retryable and error.attempts is None:
                return Setback(error)
            raise

    async def close(self) -> None:
        """Close all connections."""
        await self._lines.close()

    async def _authorized(self, request: Request) -> Answer:
        authorization = await self._authenticator.authorization(request.scope)
        answer = await self._followed(request, authorization)
        if not self._wants_other_token(answer, authorization):
            return answer
        challenges = answer.header("WWW-Authenticate")
        await self._drain(answer)
        authorization = await self._authenticator.challenged(request.scope, challenges, rejected=authorization)
        return await self._followed(request, authorization)

    @staticmethod
    def _wants_other_token(answer: Answer, authorization: str | None) -> bool:
        # ECR Public answers 400 to an expired token (DEMANDS E40); without a token sent a 400 is about the request.
        with_token = authorization is not None and authorization.startswith("Bearer ")
        return answer.at_home and (answer.status == 401 or (answer.status == 400 and with_token))

    async def _followed(self, request: Request, authorization: str | None) -> Answer:
        trail = Trail(self.origin.url(request.path))
        while True:
            secret = authorization if trail.at_home else None
            headers = request.headers(trail.origin, user_agent=self._user_agent, authorization=secret)
            wire = self._lines.to(trail.origin, at_home=trail.at_home)
            response = await wire.send(request.method, trail.url, headers)
            answer = Answer(response, trail.origin, trail.at_home, trail.redirected)
            if response.status not in REDIRECTS:
                return answer
            await self._drain(answer)
            trail.follow(answer.header("Location"))
            if self.trace is not None:
                self.trace.redirected(response, trail.url, with_secrets=trail.at_home)

    async def _judged(self, request: Request, answer: Answer) -> Answer | Setback:
        if answer.status == 200 or (answer.status in (206, 416) and request.start):
            self._refuse_encoding(answer)
            self._retries.succeeded()
            return answer
        body = await self._drain(answer)
        error = failed(answer.status, body, what=request.what, host=answer.origin.netloc)
        if not answer.at_home and answer.status in _STALE:
            return Setback(error, stale=True)
        if passes(answer.status):
            return Setback(error, self._asked_to_wait(answer.header("Retry-After")))
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
        response = await self._lines.home.send(
            parcel.method, parcel.url, headers, body=parcel.body or None, answer_within=parcel.answer_within
        )
        answer = Answer(response, self.origin, at_home=True, redirected=False)
        body = await self._drain(answer)
        lines = {name.lower(): response.headers.getall(name) for name in response.headers}
        return Receipt(response.status, parcel.url, lines, body)

    def _taken(self, parcel: Parcel, receipt: Receipt) -> Receipt | Setback:
        if receipt.status in parcel.accepted:
            self._retries.succeeded()
            return receipt
        error = refused(receipt, what=parcel.what)
        if passes(receipt.status):
            return Setback(error, self._asked_to_wait(receipt.header("Retry-After")))
        raise error

    def _asked_to_wait(self, lines: Sequence[str]) -> float | None:
        return retry_after(lines[0], self.world.wall()) if len(lines) == 1 else None

    async def _whole(self, answer: Answer, limit: int) -> bytes:
        try:
            body = await read_up_to(answer.response, limit, self.patience, self.world.clock)
        finally:
            answer.close()
        if len(body) > limit:
            raise ProtocolViolation("the answer is too large", wanted=f"at most {limit} bytes")
        return body

    async def _drain(self, answer: Answer) -> bytes:
        """The first bytes of a body nobody needs; reading it to its end keeps the connection usable."""
        try:
            return await read_up_to(answer.response, MAX_ERROR, self.patience, self.world.clock)
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
                answer = await self._token_answer(await wire.send(method, target, sent, form=form))
                if not passes(answer.status):
                    return answer
                refusal = failed(answer.status, b"", what="token", host=Origin.of(target).netloc)
                setback = Setback(refusal, retry_after(answer.headers.get("Retry-After"), self.world.wall()))
            except RegistryError as error:
                if not error.retryable:
                    raise
                setback = Setback(error)
            if method != "GET":
                raise setback.error.at(attempts=trial.attempts)
            await trial.after(setback)

    async def _token_answer(self, response: aiohttp.ClientResponse) -> TokenAnswer:
        try:
            body = await read_up_to(response, MAX_ANSWER, self.patience, self.world.clock)
        finally:
            response.close()
        return TokenAnswer(response.status, response.headers, body)
