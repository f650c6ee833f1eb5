"""copy_blob: the heart. One blob from a source to a target, verified on the way, never written twice."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from anyio import from_thread

from puller.contracts.content import Fetcher, Ingest, Target, disowned
from puller.errors import DigestMismatch, LayerError, PullerError, SizeMismatch, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.event import Advanced, Report, Started
from puller.model.report import Origin
from puller.stream.sink import Chunk, Sink

Watch: TypeAlias = Callable[[], Sequence[Sink]]


@dataclass(frozen=True, slots=True)
class Transferred:
    """How a blob came: `resumed` bytes were kept from an earlier try, `fetched` came now."""

    descriptor: Descriptor
    resumed: int
    fetched: int
    origin: Origin | None


def unwatched() -> Sequence[Sink]:
    """No watchers."""
    return ()


async def copy_blob(
    source: Fetcher, target: Target, wanted: Descriptor, watch: Watch = unwatched, *, report: Report
) -> Transferred | None:
    """Bring `wanted` from `source` into `target`; None: it is there already.

    `watch` makes the sinks that see every byte; they can refuse the blob before it exists. Content that is wrong after
    a resume is fetched once more from zero, since the kept part may be to blame; content that is wrong in one piece is
    final (RELIABILITY N3, N4), unless the source has others to ask for it.
    """
    attempt = _Attempt(source, target, wanted, report)
    again = True  # a kept part may be to blame, once
    while True:
        try:
            return await attempt.run(watch())
        except PullerError as error:
            wrong = isinstance(error, VerificationError | LayerError)
            if wrong and attempt.spliced and again:
                again = False
            elif isinstance(error, DigestMismatch | SizeMismatch) and _disowned(source, wanted):
                again = True
            else:
                raise error.at(digest=wanted.digest) from error.__cause__


def _disowned(source: Fetcher, wanted: Descriptor) -> bool:
    return disowned(source, wanted.digest)


class Poured:
    """A sink that hands on to an ingest what it does not hold yet; written to in a worker thread."""

    def __init__(self, ingest: Ingest, wanted: Descriptor, report: Report) -> None:
        self._ingest = ingest
        self._wanted = wanted
        self._report = report
        self._held = ingest.offset

    def write(self, chunk: Chunk, /) -> None:
        known = min(self._held, len(chunk))
        self._held -= known
        if known < len(chunk):
            from_thread.run(self._write, memoryview(chunk)[known:])

    def finish(self) -> None:
        """See Sink: `commit` finishes."""

    async def _write(self, chunk: Chunk) -> None:
        await self._ingest.write(chunk)
        self._report(Advanced(self._wanted, self._ingest.offset))


class _Attempt:
    def __init__(self, source: Fetcher, target: Target, wanted: Descriptor, report: Report) -> None:
        self._source = source
        self._target = target
        self._wanted = wanted
        self._report = report
        self.spliced = False  # the bytes came in more than one piece

    async def run(self, watchers: Sequence[Sink]) -> Transferred | None:
        wanted = self._wanted
        async with self._target.ingest(wanted, *watchers) as ingest:
            if ingest is None:
                return None
            start = ingest.offset
            self.spliced = start > 0
            self._report(Started(wanted, start))
            origin = await self._flow(ingest) if start == 0 or start != wanted.size else None
            with _from(lambda: origin):
                return Transferred(await ingest.commit(), start, ingest.offset - start, origin)

    async def _flow(self, ingest: Ingest) -> Origin:
        async with self._source.fetch(self._wanted, offset=ingest.offset) as body:
            try:
                with _from(lambda: body.origin):
                    async for chunk in body:
                        await ingest.write(chunk)
                        self._report(Advanced(self._wanted, ingest.offset))
            finally:
                origin = body.origin
                self.spliced = self.spliced or bool(origin.resumed_at) or origin.connections > 1
            return body.origin


@contextmanager
def _from(origin: Callable[[], Origin | None]) -> Iterator[None]:
    """Errors inside name who served the bytes."""
    try:
        yield
    except PullerError as error:
        served = origin()
        if served is not None:
            error.at(host=served.redirect or served.host, attempts=served.attempts)
        raise
