"""Ledger: keeps account of one pull, blob by blob, and tells it as a report."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from puller.errors import PullerError
from puller.model.alteration import Altered
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Failed, Pulled, Registered, Report, Subject, Unpacked, Verified
from puller.model.facts import Facts
from puller.model.platform import Platform
from puller.model.report import BlobReport, Check, ImageReport, LayerReport, Outcome, PullReport, UnpackReport
from puller.ops.account import Account
from puller.ops.pulling.plan import Depth, Step
from puller.ops.pulling.transfer import Transferred

EARLIER = "proved earlier"


class Ledger(Account):
    """Collects what was proved of each blob; events go on to whoever listens."""

    def __init__(self, reference: Subject, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(reference, report, clock)
        self._blobs: list[BlobReport] = []
        self._unpacked: list[UnpackReport] = []
        self._images: list[ImageReport] = []
        self.status = ""
        self.platforms: tuple[Platform, ...] = ()

    def add(
        self,
        step: Step,
        transferred: Transferred | None,
        checks: tuple[Check, ...],
        started: float,
        *,
        graph: str = "",
    ) -> None:
        """A blob is in the store and passed its checks; `transferred` None: it was there before, or the layer of the
        image `graph` stands for it.
        """
        descriptor = step.descriptor if transferred is None else transferred.descriptor
        size = descriptor.size
        copied = transferred.origin.copied if transferred is not None and transferred.origin is not None else 0
        blob = BlobReport(
            step.role,
            str(descriptor.digest),
            descriptor.media_type,
            size,
            _outcome(transferred),
            fetched=transferred.fetched - copied if transferred else 0,
            resumed=transferred.resumed if transferred else 0,
            reused=0 if transferred else size or 0,
            origin=transferred.origin if transferred else None,
            checks=checks,
            seconds=round(self._clock() - started, 3),
            graph=graph,
            copied=copied,
        )
        self._blobs.append(blob)
        self._report(Verified(self._reference, blob))

    def placed(self, layer: LayerReport) -> None:
        """A layer is unpacked and in its place."""
        self._report(Unpacked(self._reference, layer))

    def unpacked(self, image: UnpackReport) -> None:
        """An image is unpacked. What its tree does not show is told as warnings, one for each reason."""
        self._unpacked.append(image)
        for wall in sorted({wall for layer in image.layers for wall in layer.missing_walls}):
            self.warn(f"unpacked without a part of the jail: {wall}")
        for text in alteration_texts(layer.altered for layer in image.layers if layer.outcome == "unpacked"):
            self.warn(text)

    def registered(self, image: ImageReport) -> None:
        """An image of a chain has its place in the graph."""
        self._images.append(image)
        self._report(Registered(self._reference, image))

    def warn_of_altered_images(self) -> None:
        """What the trees of images that were registered now do not show: one line for each kind and reason."""
        for text in alteration_texts(image.altered for image in self._images if image.outcome == "registered"):
            self.warn(text)

    def done(self) -> PullReport:
        """The pull went well."""
        result = self._sum()
        self._report(Pulled(self._reference, result))
        return result

    def failed(self, error: PullerError) -> None:
        """The pull did not."""
        self._report(Failed(self._reference, self._sum(error)))

    def _sum(self, error: PullerError | None = None) -> PullReport:
        root = self.root
        return PullReport(
            str(self._reference),
            str(root.digest) if root else None,
            root.media_type if root else None,
            tuple(map(str, self.platforms)),
            tuple(self._blobs),
            round(self.elapsed(), 3),
            tuple(self._warnings),
            error.facts() if error else None,
            tuple(self._unpacked),
            tuple(self._images),
            self.status,
        )


def content_checks(expected: Descriptor, actual: Descriptor) -> tuple[Check, ...]:
    """Size and digest: what every blob has to keep. `actual` is what was found by reading the blob, now or earlier."""
    size = None if expected.size is None else str(expected.size)
    got = None if actual.size is None else str(actual.size)
    return (
        Check("size", size, got, passed=size is None or size == got),
        Check("digest", str(expected.digest), str(actual.digest), passed=expected.digest == actual.digest),
    )


def layer_checks(expected: Digest | None, facts: Facts, depth: Depth, reason: str) -> tuple[Check, ...]:
    """Diff ID and tarsum, or why they were not made. `reason` is set for what is no layer."""
    promised = str(expected) if expected else None
    if reason:
        unseen = () if promised is None else (Check("diff_id", promised, None, None, note=f"not checked ({reason})"),)
        return (*unseen, Check("tarsum", None, None, None, note=f"none ({reason})"))
    if depth is Depth.DIGEST_ONLY:
        return (Check("diff_id", promised, None, None, note="left to unpacking (digest only)"),)
    diff_id = Check("diff_id", promised, str(facts.diff_id), passed=expected is None or expected == facts.diff_id)
    if depth is Depth.NO_TARSUM:
        return (diff_id,)
    refusal = f"none ({facts.tarsum_refusal})" if facts.tarsum_refusal else ""
    return (diff_id, Check("tarsum", None, facts.tarsum, None if refusal else True, note=refusal))


def proved_earlier(checks: Iterable[Check]) -> tuple[Check, ...]:
    """The checks as told again from facts: the size is looked at every time, all else was proved in an earlier run."""
    return tuple(replace(c, note=EARLIER) if c.passed and c.name != "size" else c for c in checks)


def alteration_texts(trees: Iterable[Sequence[Altered]]) -> list[str]:
    """What trees do not hold as their layers say, and why: one line for each kind and reason."""
    counts: Counter[tuple[str, str]] = Counter()
    for tree in trees:
        for altered in tree:
            counts[altered.what, altered.reason] += altered.count
    return [f"{count} × {what} not as the layers say: {reason}" for (what, reason), count in sorted(counts.items())]


def _outcome(transferred: Transferred | None) -> Outcome:
    if transferred is None:
        return "reused"
    if transferred.resumed:
        return "resumed"
    is_copied = transferred.origin is not None and transferred.origin.copied == transferred.fetched > 0
    return "copied" if is_copied else "fetched"
