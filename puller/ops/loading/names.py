"""The names of a load: looked at before anything is changed, and set when all they stand for is here."""

from collections.abc import Mapping, Sequence

from anyio import CancelScope

from puller.archive.content import ContentImage
from puller.errors import InvalidReference, PullerError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import Manifest, parse_manifest
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.model.reference import Reference
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.names import name_content
from puller.ops.graphs.places import place_of
from puller.ops.loading.news import Hear, Said
from puller.store.naming import names_of


class LoadNames:
    """Names of graph images and of content. `retag` False: none may be in use for another image."""

    def __init__(
        self, graph: Graph, names: Mapping[Reference, str], content: Sequence[ContentImage], hear: Hear
    ) -> None:
        self._graph = graph
        self._names = names
        self._content = [(name, image) for image in content for name in image.names]
        self._hear = hear

    async def check(self, *, retag: bool) -> None:
        """Raise InvalidReference for a name that must not move: any that is in use unless `retag`, and one by digest.

        A digest stands for one content: what an archive claims of it must not take that away.
        """
        wanted = [(name, image_id) for name, image_id in self._names.items()]
        wanted += [(name, str(image.image_id)) for name, image in self._content]
        entries = await self._graph.store.tags()
        for name, image_id in wanted:
            old = await self._held(name, entries)
            if old not in (None, image_id) and not (retag and name.digest is None):
                raise InvalidReference("the name is in use for another image", reference=name, got=old)

    async def set(self, *, retag: bool) -> None:
        """Graph names in one rename, then those of content, each in one. Of what moves it is told what it stood for.

        Where one cannot be set, all are put back as they were. Raises as `check`, once more.
        """
        await self.check(retag=retag)
        names = [*self._names, *(name for name, _ in self._content)]
        entries = await self._graph.store.tags()
        held = {name: await self._held(name, entries) for name in names}
        places = {name: await self._graph.run(self._graph.tags.get, *place_of(name)) for name in names}
        try:
            await self._set(entries)
        except BaseException:
            with CancelScope(shield=True):
                await self._put_back(entries, places)
            raise
        for name in self._names:
            if name.digest is not None:
                self._hear(Said(f"The digest in {name} is the archive's word: nothing here proves it"))
        ids = dict(self._names) | {name: str(image.image_id) for name, image in self._content}
        for name, old in held.items():
            if old not in (None, ids[name]):
                short = str(old).rpartition(":")[2][:12]
                text = f"The image {_spoken(name)} already exists, renaming the old one with ID {short} to empty string"
                self._hear(Said(text))

    async def _set(self, entries: Mapping[str, Descriptor]) -> None:
        graph = self._graph
        if self._names:
            async with graph.naming():
                stale = [name for name in self._names if _is_stale(_entry(name, entries))]
                await self._forget(stale)  # a schema 1 manifest must not stand beside another image's name
                await graph.run(graph.tags.replace, {place_of(name): found for name, found in self._names.items()})
                await self._forget([name for name in self._names if name not in stale])
        for name, image in self._content:
            await name_content(name, image.root, graph.store, graph)

    async def _put_back(self, entries: Mapping[str, Descriptor], places: Mapping[Reference, str | None]) -> None:
        graph = self._graph
        async with graph.naming():
            known = {place_of(name): old for name, old in places.items() if old is not None}
            await graph.run(graph.tags.replace, known)
            for name, old in places.items():
                if old is None:
                    await graph.run(graph.tags.remove, *place_of(name))
            await self._forget(list(places))
            for name in places:
                if (entry := _entry(name, entries)) is not None:
                    await graph.store.tag(name, entry)

    async def _forget(self, names: Sequence[Reference]) -> None:
        known = await self._graph.store.tags()
        for name in names:
            if _entry(name, known) is not None:
                await self._graph.store.untag(name)

    async def _held(self, name: Reference, entries: Mapping[str, Descriptor]) -> str | None:
        """The ID of the image that the name stands for now."""
        entry = _entry(name, entries)
        if entry is not None and not _is_stale(entry):
            return str(await self._image_id(entry))
        return await self._graph.run(self._graph.tags.get, *place_of(name))

    async def _image_id(self, entry: Descriptor) -> Digest:
        """The ID of a content image: its config's digest; of an index its own."""
        try:
            document = parse_manifest(await self._graph.store.read(entry, limit=MAX_BYTES), entry.media_type)
        except PullerError:
            return entry.digest
        own = document.config if isinstance(document, Manifest) else None
        return entry.digest if own is None else own.digest


def _entry(name: Reference, entries: Mapping[str, Descriptor]) -> Descriptor | None:
    return next((entries[text] for text in names_of(name) if text in entries), None)


def _is_stale(entry: Descriptor | None) -> bool:
    return entry is not None and entry.media_type in SCHEMA1_MANIFESTS


def _spoken(name: Reference) -> str:
    """As Docker named it: repository, colon and tag."""
    repository, ref = place_of(name)
    return f"{repository}:{ref}"
