"""copy_image: one image from any place to any other; verified on the way, what refers to it with it, its names last."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import anyio

from puller.contracts.images import Claims, ImageSource, ImageTarget
from puller.errors import PullerError
from puller.model.config import parse_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Planned, Report
from puller.model.manifest import Index, Manifest
from puller.model.platform import Platform
from puller.model.sync import Carried, Manner
from puller.ops.copying.bringing import Bringing, Recorder
from puller.ops.copying.choice import Choice, choose, platforms_of, rewritten
from puller.ops.copying.document import Document, decoded
from puller.ops.copying.gathering import Choosing, Gathered, Gathering
from puller.ops.copying.looking import Looking
from puller.ops.copying.referrers import Referring
from puller.ops.copying.tally import CopyTally


async def copy_image(
    source: ImageSource,
    target: ImageTarget,
    root: Descriptor,
    names: Sequence[str],
    manner: Manner,
    *,
    claims: Claims,
    limiter: anyio.CapacityLimiter,
    report: Report,
    replaces: Mapping[str, Digest | None] | None = None,
    keep: Callable[[Digest], Awaitable[None]] | None = None,
) -> Carried:
    """Bring `root` of `source` to `target` under `names`, tags, or by its digest if there are none.

    `claims` see to it that each digest is fetched once among all who share them; `limiter` bounds the blobs that flow
    at once. `replaces`: what names are known to name before; where one has moved meanwhile, that is told. `keep` is
    awaited with what they are about to name, when all of that is there. Content stays as it is but where `manner` asks
    for another index; a name is put only when all it needs is there. What was brought stays when it fails, so that a
    second try brings the rest. Raises any PullerError, of several the gravest; DigestMismatch also where a name is
    known to name nothing, and does: nobody has kept that.
    """
    tally = CopyTally(f"{target.place}:{names[0]}" if names else f"{target.place}@{root.digest}", report)
    gathering = Gathering(source, target, claims, tally.warn, tally.took, tally.took_near)
    looking = Looking(tarsum=isinstance(target, Recorder)) if manner.verify == "deep" else None
    bringing = Bringing(gathering, tally, limiter, report, looking)
    platforms = platforms_of(manner)
    gathered = await gathering.gather(root, _choosing(manner, platforms))
    served = {document.digest for document in gathered.documents}
    if platforms and not isinstance(gathered.root.manifest, Index):
        await _tell_of_another(gathered.root, platforms, gathering)
        platforms = ()  # nothing is chosen of a single image
    if platforms:
        gathered = _in_its_place(gathered, manner, tally)
    if looking is not None:
        await looking.learn(gathered, gathering)
    report(Planned(tally.subject, gathered.root.descriptor, platforms, tuple(gathered.blobs.values())))
    await bringing.bring(gathered)
    if manner.referrers:
        subjects = [document.digest for document in gathered.documents if document.digest in served]
        await Referring(gathering, bringing, tally.warn).bring(subjects)
    if keep is not None:
        await keep(gathered.root.digest)
    replaces = replaces or {}
    before = await bringing.name(gathered, names, free={name for name, known in replaces.items() if known is None})
    for name, known in replaces.items():
        found = before.get(name)
        if found not in (known, gathered.root.digest):
            tally.warn(f"{name} had been moved meanwhile, to {found or 'nothing'}; it names {gathered.root.digest} now")
    return tally.carried(gathered.root.digest)


async def _tell_of_another(document: Document, platforms: Sequence[Platform], gathering: Gathering) -> None:
    """A single image is brought whatever it is for; say so where that is none of the `platforms`. Its config tells."""
    manifest = document.manifest
    if document.is_there or not isinstance(manifest, Manifest) or not manifest.is_image or manifest.config is None:
        return
    with suppress(PullerError):  # it tells nothing; whether it can be had shows when it is brought
        found = parse_config(await gathering.config(manifest.config)).platform
        if found is not None and all(found.serves(wanted) is None for wanted in platforms):
            chosen = ", ".join(map(str, platforms))
            gathering.warn(f"the image is for {found}, not for {chosen}, and there is no other")


def _choosing(manner: Manner, platforms: Sequence[Platform]) -> Choosing:
    def sparse(index: Index, level: int) -> Choice:
        return choose(index, platforms)

    def rewriting(index: Index, level: int) -> Choice:
        return choose(index, platforms if level == 0 else ())

    def single(index: Index, level: int) -> Choice:
        return replace(choose(index, platforms), brought=(index.choose(platforms[0]),))

    if manner.index == "single" and platforms:
        return single
    return rewriting if manner.index == "rewritten" else sparse


def _in_its_place(gathered: Gathered, manner: Manner, tally: CopyTally) -> Gathered:
    """What goes in the place of an index of which only some images are brought; said aloud."""
    root = gathered.root
    chosen = ", ".join(manner.platforms)
    behind = "; what refers to the index stayed behind" if manner.referrers else ""
    if not isinstance(root.manifest, Index):
        return gathered
    if manner.index == "single":
        leaf = gathered.documents[0]
        tally.warn(f"the index {root.digest} was not brought, but its image for {chosen}: {leaf.digest}{behind}")
        return gathered.rooted(leaf)
    if not root.absent:
        return gathered
    if manner.index == "sparse":
        tally.warn(
            f"of the index {root.digest} only {chosen} was brought: {len(root.absent)} of its entries are not there"
        )
        return gathered
    raw = rewritten(root.manifest, [entry for entry in root.manifest.manifests if entry.digest not in root.absent])
    digest = Digest.of(raw, root.digest.algorithm)
    index = decoded("", replace(root.descriptor, digest=digest, size=len(raw)), raw)
    tally.warn(f"the index {root.digest} was rewritten for {chosen}: it is {digest} now{behind}")
    return gathered.rooted(replace(index, role=root.role, entries=root.entries))
