"""The names of a load: looked at before anything is changed, and set when all they stand for is here."""

from collections.abc import Collection, Mapping, Sequence

from anyio import CancelScope

from puller.archive.content import ContentImage
from puller.errors import InvalidReference
from puller.model.descriptor import Descriptor
from puller.model.reference import Reference
from puller.ops.graphs.entries import entry_in, forget_entries, is_schema1, manifest_of
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.names import held_by, name_content
from puller.ops.graphs.places import place_of
from puller.ops.loading.news import Hear, Said, renamed


class LoadNames:
    """Names of graph images and of content. `retag` False: none may be in use for another image.

    A name that stands for its image already is left alone, with the manifest it has.
    """

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
        await self._moving(await self._graph.store.tags(), retag=retag)

    async def set(self, *, retag: bool) -> None:
        """Graph names in one rename, then those of content, each in one. Of what moves it is told what it stood for.

        Where one cannot be set, all are put back as they were. Raises as `check`, once more.
        """
        entries = await self._graph.store.tags()
        moving = await self._moving(entries, retag=retag)
        names = [*self._names, *(name for name, _ in self._content)]
        places = {name: await self._graph.run(self._graph.tags.get, *place_of(name)) for name in names}
        kept = {name for name, found in self._names.items() if places[name] == found and _is_old(name, entries)}
        kept |= {name for name, image in self._content if await self._stands(name, image, entries)}
        try:
            await self._set(entries, kept)
        except BaseException:
            with CancelScope(shield=True):
                await self._put_back(entries, {name: old for name, old in places.items() if name not in kept})
            raise
        for name in self._names:
            if name.digest is not None and name not in kept:
                self._hear(Said(f"The digest in {name} is the archive's word: nothing here proves it"))
        for name, old in moving.items():
            self._hear(renamed(_spoken(name), old))

    async def _moving(self, entries: Mapping[str, Descriptor], *, retag: bool) -> dict[Reference, str]:
        """The names that stand for other images now, and for which."""
        graph = self._graph
        wanted = dict(self._names)
        for name, image in self._content:
            if not await self._stands(name, image, entries):
                wanted[name] = str(image.image_id)
        moving: dict[Reference, str] = {}
        for name, image_id in wanted.items():
            old = await held_by(name, entries, graph.store, graph)
            if old is not None and old != image_id:
                if not (retag and name.digest is None):
                    raise InvalidReference("the name is in use for another image", reference=name, got=old)
                moving[name] = old
        return moving

    async def _stands(self, name: Reference, image: ContentImage, entries: Mapping[str, Descriptor]) -> bool:
        """Whether the name stands for this very manifest, or for an index that has no other image here."""
        entry = entry_in(entries, name)
        if entry is None or entry.digest == image.root.digest:
            return entry is not None
        found = await manifest_of(entry, self._graph.store)
        return found is not None and found[0].digest == image.root.digest

    async def _set(self, entries: Mapping[str, Descriptor], kept: Collection[Reference]) -> None:
        graph = self._graph
        names = {name: found for name, found in self._names.items() if name not in kept}
        if names:
            async with graph.naming():
                stale = [name for name in names if _is_old(name, entries)]
                await self._forget(stale)  # a schema 1 manifest must not stand beside another image's name
                await graph.run(graph.tags.replace, {place_of(name): found for name, found in names.items()})
                await self._forget([name for name in names if name not in stale])
        for name, image in self._content:
            if name not in kept:
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
                if (entry := entry_in(entries, name)) is not None:
                    await graph.store.tag(name, entry)

    async def _forget(self, names: Sequence[Reference]) -> None:
        for name in names:
            await forget_entries(name, self._graph.store)


def _is_old(name: Reference, entries: Mapping[str, Descriptor]) -> bool:
    """Whether the entry of this name is of schema 1."""
    entry = entry_in(entries, name)
    return entry is not None and is_schema1(entry)


def _spoken(name: Reference) -> str:
    """As Docker named it: repository, colon and tag."""
    repository, ref = place_of(name)
    return f"{repository}:{ref}"
