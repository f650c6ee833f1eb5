"""layercheck: the layer of a graph image put together again, and held to every digest and tarsum that speaks of it."""

import json
from dataclasses import dataclass, field
from typing import Final

from puller.contracts.graph import GraphImage
from puller.errors import ContentCorrupt, InputError, LayerError, PullerError
from puller.legacy.olddigest import validate
from puller.legacy.v1image import V1Image
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest, TarsumDigest
from puller.model.mediatype import OCTETS
from puller.ops.graphs.finding import Kind
from puller.ops.graphs.graph import Graph
from puller.ops.pulling.watch import stop_when_cancelled
from puller.store.gc import Collectable
from puller.stream.layer import LayerReader, TarsumAttempt
from puller.stream.sink import Digester, Sink, Tee
from puller.stream.tarsum import label_of

LABEL: Final = "tarsum.v1+sha256"


@dataclass(slots=True)
class LayerCheck:
    """What came of one layer: `size` bytes were read; `wrong` is what is not right, each with its kind.

    `remark` says why something could not be asked.
    """

    size: int = 0
    wrong: list[tuple[Kind, str]] = field(default_factory=list)
    remark: str = ""


async def check_layer(image: GraphImage, graph: Graph, store: Collectable, *, disk: bool, tarsum: bool) -> LayerCheck:
    """Read the layer of `image` once. The caller holds the image.

    `disk`: compare it with its checksum as far as that can be: where that is of the uncompressed layer, or its blob is
    in the store. `tarsum`: compute tarsum.v1, compare it with what was kept, and keep it. Tarsums that its files claim
    are compared in either case.
    """
    result = LayerCheck()
    kept = await graph.run(graph.images.tarsum, image.image_id)
    claims = _claims(image, kept if tarsum else None)
    own = TarsumAttempt(label=LABEL)
    attempts = {label: TarsumAttempt(label=label) for label in {str(claim.label) for claim in claims.values()}}
    attempts[LABEL] = own
    checksum = _digest(image.checksum)
    hashes = {name: Digester(name) for name in {"sha256", checksum.algorithm if checksum is not None else "sha256"}}
    sinks: list[Sink] = [*hashes.values(), *(attempts.values() if tarsum or claims else ())]
    try:
        result.size = await _read(graph, image.image_id, Tee(*sinks))
    except (LayerError, ContentCorrupt) as error:
        result.wrong.append(("layer", str(error)))
        return result
    if disk:
        await _compare(result, image, checksum, hashes, graph, store)
    for source, claim in claims.items():
        found = attempts[claim.label]
        if found.sum != str(claim):
            result.wrong.append(("tarsum", f"{source} says {claim}, the layer gives {found.sum or found.refusal}"))
    if tarsum:
        await _keep(result, image.image_id, kept, own, graph)
    return result


async def _read(graph: Graph, image_id: str, sink: Sink) -> int:
    def read() -> int:  # all in one thread: no other can close a generator that runs
        size = 0
        for chunk in graph.images.layer_tar(image_id):
            stop_when_cancelled()
            sink.write(chunk)
            size += len(chunk)
        sink.finish()
        return size

    return await graph.run(read)


async def _compare(
    result: LayerCheck,
    image: GraphImage,
    checksum: Digest | None,
    hashes: dict[str, Digester],
    graph: Graph,
    store: Collectable,
) -> None:
    diff_id = hashes["sha256"].digest
    is_exact = await graph.run(graph.images.is_exact, image.image_id)
    made = await graph.run(graph.images.driver.diff_id, image.image_id)
    if is_exact and made not in (None, diff_id):
        result.wrong.append(("layer", f"it was made of {made}, and its files give {diff_id}"))
    if checksum is None or hashes[checksum.algorithm].digest == checksum:
        return
    promised = await _unpacked(checksum, store)
    if promised is None or promised == diff_id:
        return
    if is_exact:
        result.wrong.append(("checksum", f"blob {checksum} unpacks to {promised}, the layer's files give {diff_id}"))
    else:
        result.remark = "not compared with its checksum: nothing tells how its archive was written"


async def _unpacked(blob: Digest, store: Collectable) -> Digest | None:
    """The sha256 of what a blob of the store unpacks to; None where it is not here, or no layer."""
    known = await store.facts(blob)
    if known.verified and known.diff_id is not None and known.diff_id.algorithm == "sha256":
        return known.diff_id
    if await store.size(blob) is None:
        return None
    reader = LayerReader(tarsum=False)
    try:
        await store.watch(Descriptor(OCTETS, blob), reader)
    except PullerError:  # of damaged blobs the audit of the store tells
        return None
    return reader.facts.diff_id


async def _keep(result: LayerCheck, image_id: str, kept: str | None, own: TarsumAttempt, graph: Graph) -> None:
    if own.sum is None:
        result.remark = f"no tarsum: {own.refusal}"
    elif (kept is None or label_of(kept) != "tarsum.v1") and not any(kind == "tarsum" for kind, _ in result.wrong):
        async with graph.making(image_id):
            await graph.run(graph.images.set_tarsum, image_id, own.sum)


def _claims(image: GraphImage, kept: str | None) -> dict[str, TarsumDigest]:
    """The tarsums that something says the layer has, by who says so."""
    texts = {"its checksum": image.checksum, "what was kept": kept, "its json": _old_checksum(image.config)}
    claims = {source: _tarsum(text) for source, text in texts.items()}
    return {source: claim for source, claim in claims.items() if claim is not None}


def _old_checksum(config: bytes) -> str | None:
    """What Docker of 2014 wrote into an image's JSON (LEGACY.md d.10)."""
    try:
        raw = V1Image.decode_stream(config).raw_fields().get("checksum")
        text = None if raw is None else json.loads(raw)
    except (InputError, ValueError):
        return None
    return text if isinstance(text, str) else None


def _tarsum(text: str | None) -> TarsumDigest | None:
    try:
        return None if text is None else TarsumDigest.parse(text)
    except InputError:
        return None


def _digest(text: str | None) -> Digest | None:
    try:
        return None if text is None else Digest.parse(text)
    except InputError:
        return None


def checksum_trouble(text: str | None) -> str | None:
    """What is wrong with the text of a checksum as such; None where Docker took it."""
    try:
        if text is not None:
            validate(text)
    except InputError as error:
        return error.what
    return None
