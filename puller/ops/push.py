"""push: bring an image of the store, or of an image graph, to a registry; the name moves last."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import anyio

from puller.contracts.images import ImageTarget
from puller.errors import ContentMissing, InvalidReference, PullerError, Unsupported
from puller.model.event import Report, unheard
from puller.model.push import Form, PushReport
from puller.model.reference import Reference
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.identity import UNKNOWN, looks_like_id
from puller.ops.graphs.names import Found, find
from puller.ops.graphs.places import full_name
from puller.ops.pulling.hints import hint_for
from puller.ops.pushing.content import ContentPush
from puller.ops.pushing.graph import GraphPush
from puller.ops.pushing.ledger import PushLedger
from puller.ops.tasks import apart

_NAMES = "`puller images` lists the names that there are, and `puller tag` gives another one."
DEFAULT_JOBS = 3  # as docker does

# The repository of a reference, and one beside it that may lend blobs.
OpenRegistry: TypeAlias = Callable[[Reference, Reference | None], ImageTarget]


@dataclass(frozen=True, slots=True)
class Manner:
    """How an image is to be pushed. `form` is for images of a graph: content goes as it is. `sparse`: of an index only
    the images that are here.
    """

    form: Form | None = None
    sparse: bool = False


async def push(
    text: str,
    name: Reference | None,
    graph: Graph,
    opened: OpenRegistry,
    manner: Manner,
    *,
    limiter: anyio.CapacityLimiter | None = None,
    report: Report = unheard,
) -> PushReport:
    """Push what `text` stands for to `name`, or to where it says itself; `limiter` bounds the blobs at a time.

    Images of today go byte for byte, so their digests stay. Images of the graph go as schema 2 unless `manner` says
    otherwise. What the registry has is not sent again; the name moves only when everything it needs is there. Raises
    any PullerError; of several the gravest.
    """
    found = await _found(text, graph)
    reference = (name or _own_name(found)).tagged()
    ledger = PushLedger(reference, report)

    async def work() -> None:
        registry = opened(reference, _lender(found, reference))
        async with graph.store.lease() as lease:
            blobs = limiter or anyio.CapacityLimiter(DEFAULT_JOBS)
            if found.image_id is not None:
                _refuse_digest(reference, text)
                pushed = GraphPush(reference, graph, lease, registry, ledger, limiter=blobs)
                await pushed.run(found.image_id, manner.form or "schema2")
                return
            assert found.descriptor is not None
            if manner.form is not None:
                hint = "`puller convert` makes the other form, under a digest of its own."
                raise Unsupported("--format is for images of a graph: this one goes as it is", got=text, hint=hint)
            if reference.digest not in (None, found.descriptor.digest):
                raise InvalidReference("an image goes by its own digest", wanted=found.descriptor.digest, got=reference)
            content = ContentPush(reference, graph.store, lease, registry, ledger, limiter=blobs, sparse=manner.sparse)
            await content.run(found.descriptor)

    try:
        await apart(work)
    except PullerError as error:
        error.at(reference=reference)
        error.hint = error.hint or hint_for(error)
        ledger.failed(error)
        raise
    return ledger.done()


async def tags_of(repository: Reference, graph: Graph) -> list[Reference]:
    """Every name that the store or the graph has in a repository, in order. Raises ContentMissing for none."""
    found = {reference for reference in await _names(graph) if reference.name == repository.name and reference.tag}
    if not found:
        raise _no_repository(repository)
    return sorted(found)


async def _found(text: str, graph: Graph) -> Found:
    try:
        return await find(text, graph.store, graph)
    except ContentMissing:
        if looks_like_id(text):
            raise
        reference = graph.spelling(text)[0].tagged()
        if any(known.name == reference.name for known in await _names(graph)):
            hint = "The repository has other tags: `puller images` lists the names that there are."
            raise ContentMissing(UNKNOWN, reference=reference, hint=hint) from None
        raise ContentMissing(UNKNOWN, reference=reference, hint=_NAMES) from None


def _no_repository(reference: Reference) -> ContentMissing:
    name = replace(reference, tag=None, digest=None).familiar()
    return ContentMissing(f"there is no image in the repository {name}", reference=reference, hint=_NAMES)


async def _names(graph: Graph) -> set[Reference]:
    texts = {*await graph.store.tags()}
    for repository, refs in (await graph.run(graph.tags.repositories)).items():
        texts |= {full_name((repository, ref)) for ref in refs}
    found = set()
    for text in texts:
        try:
            found.add(Reference.parse(text))
        except InvalidReference:  # another tool's, or of no grammar of today: such a name cannot be pushed
            continue
    return found


def _own_name(found: Found) -> Reference:
    if found.reference is None:
        raise InvalidReference("to be pushed an image needs a name", got=found.text, hint="Give one as the last word.")
    return found.reference


def _lender(found: Found, reference: Reference) -> Reference | None:
    """The repository of the same registry where the image is known, if it is another one."""
    own = found.reference
    is_other = own is not None and own.registry == reference.registry and own.repository != reference.repository
    return own if is_other else None


def _refuse_digest(reference: Reference, text: str) -> None:
    if reference.digest is not None:
        hint = "Its digest is made when it is pushed: give it a tag."
        raise ContentMissing(f"Tag does not exist for {text}", reference=reference, hint=hint)
