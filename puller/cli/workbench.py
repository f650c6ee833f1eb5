"""Workbench: the store, its graph, and a way to registries, for verbs that need an image's tree."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from puller.cli.environment import host_platform, processors
from puller.cli.naming import meant, short_names, spelling
from puller.cli.options import Access, Where
from puller.cli.rooms import open_store
from puller.errors import ContentCorrupt, ContentMissing, PullerError, Unsupported
from puller.model.descriptor import Descriptor
from puller.model.event import Event, Pulled, Report, Subject
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.model.text import printable
from puller.ops.graphs.door import GraphDoor
from puller.ops.pull import DEFAULT_JOBS, pull
from puller.ops.pulling.ledger import Ledger
from puller.ops.pulling.plan import Wish
from puller.ops.unpacking.shelves import Shelves, shelves
from puller.ops.unpacking.stored import Fetch, Present, at_hand
from puller.ops.unpacking.trees import Tree, graph_tree, shelved
from puller.store.disk import DiskStore
from puller.store.leases import DiskLease

if TYPE_CHECKING:
    from puller.ops.graphs.names import Found


@contextmanager
def open_shelves(store: DiskStore, *, only: str | None) -> Iterator[Shelves]:
    """Where the store keeps unpacked layers, and the process that unpacks them; `only` names the one driver to use."""
    with shelves(store.layout.layers, only=only, workers=processors()) as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a verb works with; `lease` keeps what it has found for as long as it works."""

    store: DiskStore
    door: GraphDoor
    access: Access
    platform: Platform
    lease: DiskLease
    report: Report

    async def find(self, text: str) -> "Found":
        """The image that a name, an ID or the beginning of one stands for; pulled first where it is nowhere.

        One of schema 1 that has only its blobs here is pulled into the graph. Raises as `names.find`, and as a pull.
        """
        from puller.ops.graphs.identity import exact_hex, looks_like_id  # only now: plain pulls need none of it
        from puller.ops.graphs.names import find

        try:
            found = await find(text, self.store, self.door.open())
            if not _is_unregistered(found):
                return found
            candidates = _names(found)
        except (ContentMissing, ContentCorrupt):
            if exact_hex(text) is not None:
                raise
            candidates = short_names().to_ask(text)
        if not candidates:
            hint = "Pull it by one of its names: puller pull NAME"
            raise Unsupported("an image of schema 1 that is not in the image graph has no tree", where=text, hint=hint)
        try:
            await self._fetch(*candidates)()
        except PullerError as error:
            if looks_like_id(text):
                error.hint = f"{error.hint} No image that is here has an ID that begins so.".lstrip()
            raise
        return await find(text, self.store, self.door.open())

    async def tree(self, found: "Found", shelves: Shelves) -> Tree:
        """The tree of an image, unpacked now where it is not."""
        ledger = Ledger(subject(found), self.report)
        try:
            if found.image_id is not None:
                return await graph_tree(found.image_id, self.door.open(), shelves, self.lease, ledger)
            return await shelved(
                _wanted(found),
                self.store,
                shelves,
                self.lease,
                platform=self.platform,
                fetch=self._fetch(*_names(found)),
                ledger=ledger,
            )
        except PullerError as error:
            raise error.at(reference=subject(found)) from error.__cause__

    def present(self, found: "Found") -> AbstractAsyncContextManager[Present]:
        """The image with the blobs of its layers, for as long as the block runs."""
        if found.image_id is None:
            return at_hand(_wanted(found), self.store, self.platform, self._fetch(*_names(found)))
        from puller.ops.graphs.standin import stand_in

        return stand_in(found.image_id, self.door.open())

    def _fetch(self, *candidates: Reference) -> Fetch:
        """Pulls the first of `candidates` that there is when it is called; without any there is nothing to pull by."""

        async def fetch() -> None:
            if not candidates:
                raise ContentMissing("a part of the image is not in the store", hint="Pull it by one of its names.")
            from puller.cli.registries import open_client  # only now: most of what is asked for is here

            async with open_client(self.access, jobs=DEFAULT_JOBS, report=self.report) as client:

                async def resolved(reference: Reference) -> Descriptor:
                    return await client.source(reference).resolve(reference.tagged())

                several = len(candidates) > 1
                reference = (await meant(candidates, resolved))[0] if several else candidates[0]
                source, wish = client.source(reference), Wish((self.platform,))
                await pull(reference, source, self.store, wish, graph=self.door, report=self._told)

        return fetch

    def _told(self, event: Event) -> None:
        if not isinstance(event, Pulled):  # that the pull is done is not what was asked for, and stdout is for that
            self.report(event)


@asynccontextmanager
async def workbench(where: Where, *, report: Report) -> AsyncIterator[Workbench]:
    """Open all that a Workbench has."""
    place = await open_store(where.store)
    platform = host_platform() if where.platform is None else Platform.parse(where.platform)
    with GraphDoor(place, where.graph, workers=processors(), always=True, spelling=spelling()) as door:
        async with place.lease() as lease:
            yield Workbench(place, door, where.access, platform, lease, report)


def subject(found: "Found") -> Subject:
    """What an image is called where it is told of: by its name, else by what was typed."""
    return found.text if found.reference is None else found.reference


def told(found: "Found") -> str:
    """The same as text for people."""
    return printable(found.name or found.text, limit=2000)


def _wanted(found: "Found") -> Reference | Descriptor:
    """A content image: by its name, under which a pull may bring another; by its manifest where it has none."""
    assert found.descriptor is not None
    return found.descriptor if found.reference is None else found.reference


def _names(found: "Found") -> tuple[Reference, ...]:
    return () if found.reference is None else (found.reference,)


def _is_unregistered(found: "Found") -> bool:
    """Whether it is a manifest of schema 1 without an image of the graph: a pull that unpacked nothing left it."""
    return found.image_id is None and found.descriptor is not None and found.descriptor.media_type in SCHEMA1_MANIFESTS
