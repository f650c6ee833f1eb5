"""Body: one blob on its way, asked for again wherever the line breaks.

Promise: the bytes from `offset` to the end, in order, each once, or an error. They are not verified here.
"""

from dataclasses import dataclass, replace
from typing import Self

from puller.errors import ConnectionLost, ProtocolViolation, RegistryError, SizeMismatch
from puller.model.descriptor import Descriptor
from puller.model.report import Origin
from puller.registry.answer import Answer, Location, Request
from puller.registry.download.resume import Useless, check_claims, judge
from puller.registry.retry import Setback
from puller.registry.session import Session
from puller.registry.transport.receive import Reception
from puller.stream.sink import Chunk

# So much gained, and the failures before it are forgotten: a bad line gets a large blob in many pieces (DEMANDS A2).
PROGRESS = 1 << 20
# A server that ignores ranges sends all again; without a cap a bad line would cost the square of the size (DEMANDS A4).
SPARE_DISCARD = 16 << 20
STALE_URLS = 2


@dataclass(frozen=True, slots=True)
class Lead:
    """How more of the same blob may be asked for: by `request`, at `location` where the registry has sent us on.

    `netloc` is of the host that serves it.
    """

    request: Request
    location: Location | None
    netloc: str


class Download:
    """A Body. Opened before it is iterated, closed by whoever opened it.

    `wanted` None: the request names content in a way that says nothing of its bytes (a tarsum label). `stop`: give no
    byte from there on, though the line may bring more.
    """

    def __init__(
        self, session: Session, request: Request, wanted: Descriptor | None, *, offset: int, limit: int | None
    ) -> None:
        self._session = session
        self._request = request
        self._wanted = wanted
        self._limit = limit
        self._size = None if wanted is None else wanted.size
        self._position = offset
        self.stop: int | None = None
        self._secured = offset  # where the last failure was forgotten
        self._skip = 0
        self._discarded = 0
        self._ranges = True
        self._stale = 0
        self._redirect: str | None = None
        self._resumed_at: list[int] = []
        self._trial = session.trial(request.what)
        self._answer: Answer | None = None
        self._reception: Reception | None = None

    @property
    def origin(self) -> Origin:
        """Who served it so far."""
        return Origin(self._session.origin.netloc, self._redirect, self._trial.attempts, tuple(self._resumed_at))

    @property
    def lead(self) -> Lead | None:
        """How others may help with the rest; None where this server has not shown that it would give a part right."""
        answer = self._answer
        offered = [] if answer is None else answer.header("Accept-Ranges")
        if (
            answer is None
            or self._discarded
            or not self._ranges
            or any(word.strip().lower() == "none" for word in offered)
        ):
            return None
        return Lead(self._request, answer.location, answer.origin.netloc)

    async def open(self) -> None:
        """Wait for an answer whose body can be used. Raises RegistryError and VerificationError."""
        self._within_limit(self._size)
        if self._size is None or self._position < self._size or self._size == 0:
            await self._ask()

    async def go_on_at(self, position: int) -> None:
        """Ask for the rest from `position` on: others have brought what is before it. Raises as `open`."""
        self.close()
        self.stop = None
        self._skip = 0
        self._position = position
        await self._ask()

    def close(self) -> None:
        """Give up whatever is still on the line."""
        if self._answer is not None:
            self._answer.close()
        self._answer = self._reception = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while self._reception is not None and self._position != self.stop:
            try:
                chunk = await self._reception.next()
                if chunk is not None:
                    rest = self._after_skipped(chunk)
                    if rest:
                        return rest
                    continue
                failure: RegistryError = ConnectionLost("the body ended early", wanted=self._size, got=self._position)
                complete = self._size is None or self._position == self._size
            except RegistryError as error:
                # Where all is here, and only the end of the message is missing, the digest will tell.
                complete = self._position == self._size
                if not complete and not error.retryable:
                    raise
                failure = error
            self.close()
            if not complete:
                await self._continue(Setback(failure))
        raise StopAsyncIteration

    async def _continue(self, setback: Setback) -> None:
        if self._position - self._secured >= PROGRESS:
            self._secured = self._position
            self._stale = 0
            self._ranges = True
            self._trial.progressed()
        await self._trial.after(setback)
        self._resumed_at.append(self._position)
        await self._ask()

    async def _ask(self) -> None:
        while True:
            result = await self._session.attempt(self._asking())
            if isinstance(result, Setback):
                self._note_stale(result)
                await self._trial.after(result)
            elif self._accepts(result):
                self._answer = result
                self._reception = self._session.reception(result.response)
                return

    def _asking(self) -> Request:
        return replace(self._request, start=self._position if self._ranges else 0)

    def _note_stale(self, setback: Setback) -> None:
        """A signed URL that has died is replaced by asking the registry; some CDNs refuse the range that way."""
        if setback.stale:
            self._stale += 1
            self._ranges = self._ranges and self._stale < STALE_URLS
            if self._stale > STALE_URLS:
                raise setback.error.at(attempts=self._trial.attempts)

    def _accepts(self, answer: Answer) -> bool:
        """Take an answer's body, or close it because the whole must be asked for instead: once."""
        self._redirect = answer.origin.netloc if answer.redirected else None
        try:
            if self._wanted is not None:
                check_claims(answer, self._wanted)
            verdict = judge(answer, start=self._asking().start, position=self._position, size=self._size)
            if isinstance(verdict, Useless):
                self._session.remark(f"asking for the whole: {verdict.reason}", self._request.what)
                self._ranges = False  # a whole answer is never useless, so this ends
                answer.close()
                return False
            self._size = self._within_limit(self._size if self._size is not None else verdict.total)
            self._discard(verdict.skip)
        except Exception:
            answer.close()
            raise
        self._request = replace(self._request, validator=answer.validator)
        return True

    def _discard(self, skip: int) -> None:
        self._skip = skip
        self._discarded += skip
        allowed = 2 * (self._size or 0) + SPARE_DISCARD
        if self._discarded > allowed:
            raise ProtocolViolation(
                "the server cannot resume", wanted=f"at most {allowed} bytes sent twice", got=self._discarded
            )

    def _within_limit(self, size: int | None) -> int | None:
        if size is not None and self._limit is not None and size > self._limit:
            raise ProtocolViolation("the document is too large", wanted=f"at most {self._limit} bytes", got=size)
        return size

    def _after_skipped(self, chunk: Chunk) -> Chunk:
        """The part of a chunk that is new. Raises SizeMismatch for more than there may be."""
        skipped = min(self._skip, len(chunk))
        self._skip -= skipped
        rest = memoryview(chunk)[skipped:] if skipped else chunk
        end = self._position + len(rest)
        if self._size is not None and end > self._size:
            raise SizeMismatch("the body is too long", wanted=self._size, got=f"{end} or more")
        self._within_limit(end)
        if self.stop is not None and end > self.stop:
            rest = memoryview(rest)[: self.stop - self._position]
        self._position += len(rest)
        return rest
