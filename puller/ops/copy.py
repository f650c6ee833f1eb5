"""copy: bring one image from a place to another, as it is; what it is called there moves last."""

from dataclasses import dataclass, field, replace

import anyio

from puller.contracts.images import Claims
from puller.errors import PullerError
from puller.model.copy import CopyReport
from puller.model.descriptor import Descriptor
from puller.model.event import Copied, CopyFailed, Report
from puller.model.sync import Manner
from puller.ops.copying.image import copy_image
from puller.ops.copying.places import Places
from puller.ops.pulling.hints import hint_for
from puller.ops.tasks import apart


@dataclass(frozen=True, slots=True)
class Errand:
    """One image: `root` at the place `source`, to the place `target` under `names`; without any by its digest alone.

    `origin` and `called` are what people call it there and here.
    """

    source: str
    root: Descriptor
    target: str
    names: tuple[str, ...]
    origin: str
    called: str
    manner: Manner = field(default_factory=Manner)


async def copy(
    errand: Errand, places: Places, *, claims: Claims, limiter: anyio.CapacityLimiter, report: Report
) -> CopyReport:
    """Do one errand; `limiter` bounds the blobs at a time. Raises any PullerError; then no name has moved."""
    made = CopyReport(errand.origin, errand.called, str(errand.root.digest), errand.root.media_type)
    try:
        source, target = await places.source(errand.source), await places.target(errand.target)
        carried = await apart(
            lambda: copy_image(
                source,
                target,
                errand.root,
                errand.names,
                errand.manner,
                claims=claims,
                limiter=limiter,
                report=report,
            )
        )
    except PullerError as error:
        error.at(reference=errand.called)
        error.hint = error.hint or hint_for(error)
        error.add_note(f"copying {errand.origin} to {errand.called}")
        report(CopyFailed(errand.called, replace(made, error=error.facts())))
        raise
    done = replace(made, carried=carried)
    report(Copied(errand.called, done))
    return done
