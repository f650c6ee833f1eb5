"""Forecast: what it would take to bring the images of a plan, by their manifests. What several need counts once."""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

import anyio

from puller.contracts.images import ImageSource, ImageTarget
from puller.errors import InputError, PullerError, Unsupported
from puller.mirror.plan import Forecast
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.model.mediatype import SCHEMA1_MANIFESTS, is_index
from puller.model.platform import Platform
from puller.model.sync import Manner, Transfer
from puller.ops.copying.choice import choose, platforms_of
from puller.ops.copying.reading import read_document
from puller.ops.syncing.places import Places
from puller.ops.tasks import abreast

WIDTH = 8
MAX_DEPTH = 4
MAX_KNOWN = 5_000  # documents at hand, about 100 MB; one that is wanted later is read again


class Forecasting:
    """Looks at one image after the other; what several need is counted once."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._requests: Counter[str] = Counter()
        self._pulls: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._disk: Counter[str] = Counter()
        self._unknown = 0
        self._documents: OrderedDict[Digest, Manifest | Index | None] = OrderedDict()
        self._fetched: set[Digest] = set()
        self._placed: set[tuple[str, Digest]] = set()
        self._judging: WeakValueDictionary[Digest, anyio.Lock] = WeakValueDictionary()
        self._judged: dict[tuple[Digest, Manner], Unsupported | None] = {}

    def forecast(self) -> Forecast:
        """All of it so far."""
        requests, pulls, size, disk = (dict(one) for one in (self._requests, self._pulls, self._bytes, self._disk))
        return Forecast(requests, pulls, size, disk, self._unknown)

    async def add(self, transfer: Transfer) -> Unsupported | None:
        """Count what it takes to bring one image; where its manifests cannot be read it is `unknown`.

        What is returned would end that: its index has none of the platforms that are chosen. An index is read for the
        forecast anyway, so to find that out costs nothing more.
        """
        try:
            source = await self._places.source(transfer.source)
            target = await self._places.target(transfer.target)
            image = _Image(transfer, source, target, platforms_of(transfer.manner))
            root = Descriptor(transfer.media_type, Digest.parse(transfer.digest), transfer.size)
            if refused := await self._refused(image, root):
                return refused
            await self._document(image, root, 0)
        except PullerError:
            self._unknown += 1
        return None

    async def _refused(self, image: "_Image", root: Descriptor) -> Unsupported | None:
        """Asked for many tags of one index at once, of whose reading each would count as a pull."""
        if not (image.platforms and is_index(root.media_type)):
            return None
        key = root.digest, image.transfer.manner
        async with self._judging.setdefault(root.digest, anyio.Lock()):
            if key not in self._judged:
                self._judged[key] = _refusal(await self._read(image, root), image)
            return self._judged[key]

    async def _document(self, image: "_Image", descriptor: Descriptor, depth: int) -> None:
        key = image.transfer.target, descriptor.digest
        if key in self._placed or depth > MAX_DEPTH:
            return
        self._placed.add(key)
        # A manifest that is there stands on content that is there; an index may be there in part.
        if not is_index(descriptor.media_type) and await image.target.exists(descriptor):
            return
        document = await self._read(image, descriptor)
        self._count(image, descriptor, is_document=True)
        if document is None:
            self._unknown += 1
            return
        if isinstance(document, Index):
            for child in _chosen(document, image, depth):
                await self._document(image, child, depth + 1)
            return
        fresh = [child for child in document.children if (image.transfer.target, child.digest) not in self._placed]
        self._placed |= {(image.transfer.target, child.digest) for child in fresh}

        async def ask(child: Descriptor) -> None:
            if not await image.target.exists(child):
                self._count(image, child, is_document=False)

        await abreast({child.digest: child for child in fresh}.values(), ask, width=WIDTH)

    async def _read(self, image: "_Image", descriptor: Descriptor) -> Manifest | Index | None:
        if descriptor.digest in self._documents:
            return self._documents[descriptor.digest]
        raw = await read_document(image.source, descriptor)
        known: Manifest | Index | None = None
        if descriptor.media_type not in SCHEMA1_MANIFESTS:
            try:
                known = parse_manifest(raw, descriptor.media_type)
            except InputError:  # of no kind that is known here
                known = None
        self._documents[descriptor.digest] = known
        if len(self._documents) > MAX_KNOWN:
            self._documents.popitem(last=False)
        return known

    def _count(self, image: "_Image", descriptor: Descriptor, *, is_document: bool) -> None:
        host, size = image.transfer.source.partition("/")[0], descriptor.size or 0
        self._disk[image.transfer.target] += size
        if descriptor.digest in self._fetched:
            return  # the run has it by then
        self._fetched.add(descriptor.digest)
        self._requests[host] += 1
        self._bytes[host] += size
        self._pulls[host] += is_document


@dataclass(frozen=True, slots=True)
class _Image:
    transfer: Transfer
    source: ImageSource
    target: ImageTarget
    platforms: tuple[Platform, ...]


def _refusal(document: Manifest | Index | None, image: _Image) -> Unsupported | None:
    """Why nothing of an index can be brought."""
    try:
        if isinstance(document, Index):
            _chosen(document, image, 0)
    except Unsupported as error:
        return error
    return None


def _chosen(index: Index, image: _Image, depth: int) -> Sequence[Descriptor]:
    """The entries of an index that are brought, as copies choose them. Raises Unsupported."""
    manner = image.transfer.manner
    if image.platforms and manner.index == "single":
        return (index.choose(image.platforms[0]),)
    return choose(index, () if manner.index == "rewritten" and depth else image.platforms).brought
