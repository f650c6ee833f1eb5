"""PushLedger: keeps account of one push, blob by blob, and tells it as a report."""

import time
from collections.abc import Callable

from puller.errors import PullerError
from puller.model.descriptor import Descriptor
from puller.model.event import Delivered, Pushed, PushFailed, Report
from puller.model.push import Arrival, PushedBlob, PushReport
from puller.model.reference import Reference
from puller.ops.account import Account


class PushLedger(Account):
    """Collects what became of each blob; events go on to whoever listens."""

    def __init__(self, reference: Reference, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(reference, report, clock)
        self._blobs: list[PushedBlob] = []
        self.image_id: str | None = None
        self.graph_id: str | None = None
        self.hashed = 0

    def add(
        self,
        role: str,
        descriptor: Descriptor,
        arrival: tuple[Arrival, int],
        started: float,
        *,
        image_id: str | None = None,
    ) -> None:
        """A blob or manifest is there; `started` by the ledger's clock."""
        outcome, sent = arrival
        seconds = round(self._clock() - started, 3)
        digest, kind, size = str(descriptor.digest), descriptor.media_type, descriptor.size
        blob = PushedBlob(role, digest, kind, size, outcome, sent, seconds, image_id)
        self._blobs.append(blob)
        self._report(Delivered(self._reference, blob))

    def done(self) -> PushReport:
        """The push went well."""
        result = self._sum()
        self._report(Pushed(self._reference, result))
        return result

    def failed(self, error: PullerError) -> None:
        """The push did not."""
        self._report(PushFailed(self._reference, self._sum(error)))

    def _sum(self, error: PullerError | None = None) -> PushReport:
        root = self.root
        return PushReport(
            str(self._reference),
            str(root.digest) if root else None,
            root.media_type if root else None,
            tuple(self._blobs),
            round(self.elapsed(), 3),
            self.hashed,
            self.image_id,
            self.graph_id,
            tuple(self._warnings),
            error.facts() if error else None,
        )
