"""verify: images, or all there is, read again and held to what their names say: the store's blobs, a graph's layers."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from puller.model.descriptor import Descriptor
from puller.model.reference import Reference
from puller.ops.graphcheck import Checked, check
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.names import find
from puller.ops.tasks import apart
from puller.store.audit import Auditable, Audited, audit

Told: TypeAlias = Callable[[object, int], None]


async def verify(
    texts: Sequence[str] | None, store: Auditable, graph: Graph, *, told: Told
) -> tuple[Audited | None, Checked | None]:
    """What names and IDs stand for; None is all of both. None comes back for what there was nothing of.

    `told` hears of every blob and layer that was read, with its bytes. Raises as `find`, `audit` and `check`.
    """
    return await apart(lambda: _verified(texts, store, graph, told=told))


async def _verified(
    texts: Sequence[str] | None, store: Auditable, graph: Graph, *, told: Told
) -> tuple[Audited | None, Checked | None]:
    if texts is None:
        audited = await audit(store, None, told=told)
        checked = await check(graph, store, None, disk=True, told=told)
        return audited, checked if checked.images or checked.findings else None
    roots: list[Reference | Descriptor] = []
    images: list[str] = []
    for text in texts:
        found = await find(text, store, graph)
        if found.descriptor is not None:
            roots.append(found.reference or found.descriptor)
        if found.image_id is not None:
            images.append(found.image_id)
    return (
        await audit(store, roots, told=told) if roots else None,
        await check(graph, store, images, disk=True, told=told) if images else None,
    )
