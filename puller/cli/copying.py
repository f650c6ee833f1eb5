"""Copying: what `puller copy` does with its words, from places to exit code."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio

from puller.cli import interrupt
from puller.cli.copywords import Word
from puller.cli.failure import exit_code, gravest
from puller.cli.logs import unheard_of
from puller.cli.naming import meant, short_names, spelling
from puller.cli.options import Access
from puller.cli.reporting import check_report_file, write_report
from puller.cli.rooms import open_graph, open_store
from puller.cli.screen import Screen, Style, screen_for
from puller.contracts.images import ImageSource
from puller.errors import ContentMissing, InvalidConfig, InvalidReference, PullerError, Unsupported
from puller.model.copy import SCHEMA, CopyReport
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Copied, CopyFailed, Event, Report
from puller.model.mediatype import is_index
from puller.model.reference import Reference, is_tag
from puller.model.referrer import is_list_tag
from puller.model.sync import Manner
from puller.ops.copy import Errand, copy
from puller.ops.copying.local import LocalClaims
from puller.ops.copying.places import Places, Spot
from puller.ops.tasks import abreast

if TYPE_CHECKING:
    from puller.registry.client import RegistryClient
    from puller.store.disk import DiskStore

LEFT = "what has arrived stays, and is not brought again"
NOTHING = "no archive was written"


@asynccontextmanager
async def open_places(
    client: "RegistryClient", store: Path | None = None, *, made: Literal["docker", "oci"] = "docker"
) -> AsyncIterator[Places]:
    """Places over `client`; `store:` without a directory is that of this user, or `store`. `made`: see Places."""

    async def opened(folder: str) -> "DiskStore":
        return await open_store(Path(folder) if folder else store)

    async with Places(client, stores=opened, made=made) as places:
        yield places


@dataclass(frozen=True, slots=True)
class Order:
    """The words of one `puller copy`."""

    source: str
    target: str
    manner: Manner
    access: Access
    all_tags: bool = False
    jobs: int = 3


@dataclass(frozen=True, slots=True)
class _From:
    """Where images come from: the place, and the tag that was meant, if any. `root` None: all tags are."""

    place: str
    root: Descriptor | None
    reference: Reference | None = None
    tag: str | None = None
    is_pinned: bool = False

    def called(self, text: str, tag: str | None) -> str:
        """What it is called in reports."""
        if self.reference is not None:
            kind = "store:" if self.place.startswith("store:") else ""
            return f"{kind}{self.reference if tag is None else self.reference.with_tag(tag)}"
        return text if tag is None or tag == self.tag else f"{self.place}:{tag}"


def copy_all(order: Order, *, store: Path | None, report_file: Path | None, style: Style) -> int:
    """Copy what `order` says, going on after failures; the exit code. What has arrived stays where it is."""
    source, target = Word.parse(order.source), Word.parse(order.target)
    sink = _Sink.of(target, store, all_tags=order.all_tags)
    check_report_file(report_file)
    reports: list[CopyReport] = []
    with screen_for(style, several=order.all_tags) as screen:

        def listen(event: Event) -> None:
            if isinstance(event, Copied | CopyFailed):
                reports.append(event.report)
            screen.show(event)

        async def main() -> int:
            from puller.cli.registries import open_client

            targets = {sink.reference.registry} if target.kind == "registry" and sink.reference is not None else set()
            async with open_client(order.access, jobs=order.jobs, report=listen, targets=targets) as client:
                async with open_places(client, store, made=_made_for(target)) as places:
                    return await _Copies(order, source, sink, places, store, screen, listen).run()

        try:
            warn = unheard_of if style == "quiet" else screen.note
            return interrupt.run(main, warn=warn, left=NOTHING if target.kind.endswith("-archive") else LEFT)
        except PullerError as error:
            if source.kind == "registry" and Path(order.source).exists():
                error.add_note(f"{order.source} was asked for in a registry; of what is here: oci:{order.source}")
            raise
        finally:
            write_report(report_file, {"schema": SCHEMA, "copies": [report.encode() for report in reports]})


def _made_for(target: Word) -> Literal["docker", "oci"]:
    # skopeo finds images of other types by name in no layout (containers/image, oci/layout/oci_transport.go).
    return "oci" if target.kind in ("oci", "oci-archive") else "docker"


@dataclass(frozen=True, slots=True)
class _Sink:
    """Where images go, as far as the words say: `name` is a tag, or what an archive has for names."""

    word: Word
    place: str
    reference: Reference | None
    name: str | None
    digest: Digest | None

    @classmethod
    def of(cls, word: Word, store: Path | None, *, all_tags: bool) -> "_Sink":
        """What `word` says. Raises InvalidReference before anything is asked for."""
        if word.kind in ("registry", "store"):
            reference = short_names().one(word.name or "")
            found = cls(word, _place_of(word, reference), reference, reference.tag, reference.digest)
        else:
            _check_directory(word)
            found = cls(word, word.place, None, _name_of(word), word.digest)
        if all_tags and (found.name or found.digest):
            hint = "Leave out what follows the name or the file."
            raise InvalidReference("--all-tags keeps the tags as they are", got=word.text, hint=hint)
        return found

    def errand(self, source: _From, root: Descriptor, text: str, tag: str | None, manner: Manner) -> Errand:
        """One image to be brought here. Raises InvalidReference where it could have no name."""
        if self.digest is not None and self.digest != root.digest:
            raise InvalidReference("an image goes by its own digest", wanted=root.digest, got=self.word.text)
        if self.word.kind == "docker-archive" and is_index(root.media_type) and manner.index != "single":
            hint = "Choose one: --platform linux/amd64"
            raise Unsupported("an archive of docker save holds single images", got=source.called(text, tag), hint=hint)
        if self.word.kind == "docker-archive" and manner.referrers:
            hint = "An oci-archive: holds it."
            what = "an archive of docker save has no place for what refers to an image"
            raise Unsupported(what, got="--referrers", hint=hint)
        name = self.name
        if name is None and self.digest is None:
            name = self._inherited(source, tag)
        names = () if name is None else (name,)
        if not names and self.digest is None and not source.is_pinned and self.reference is not None:
            raise InvalidReference("it needs a tag", got=self.word.text, hint="Give it one: NAME:TAG")
        return Errand(source.place, root, self.place, names, source.called(text, tag), self._called(name, root), manner)

    def _inherited(self, source: _From, tag: str | None) -> str | None:
        """The name that it has where it comes from, as it can be written here."""
        if self.word.kind != "docker-archive" or tag is None:
            return tag
        return None if source.reference is None else str(source.reference.with_tag(tag))

    def _called(self, name: str | None, root: Descriptor) -> str:
        if self.reference is not None:
            named = self.reference.with_digest(root.digest) if name is None else self.reference.with_tag(name)
            return str(named) if self.word.kind == "registry" else f"store:{named}"
        return f"{self.place}@{root.digest}" if name is None else f"{self.place}:{name}"


def _place_of(word: Word, reference: Reference) -> str:
    repository = replace(reference, tag=None, digest=None)
    return str(Spot("registry", "", repository) if word.kind == "registry" else Spot("store", "", repository))


def _check_directory(word: Word) -> None:
    """Refuse a file where a directory of images was named. Raises InvalidConfig."""
    if word.kind == "oci" and Path(word.path).is_file():
        hint = "One file of images is oci-archive:FILE or docker-archive:FILE."
        raise InvalidConfig("a file, and no directory", where=word.path, got=word.text, hint=hint)


def _name_of(word: Word) -> str | None:
    """The name to give in a directory or an archive. Raises InvalidReference."""
    if word.name is None:
        return None
    if word.kind == "oci" and not is_tag(word.name):
        hint = "In a directory images have plain tags."
        raise InvalidReference("no tag", got=word.name, wanted="oci:DIR:TAG", hint=hint)
    return word.name if word.is_tagged else str(Reference.parse(word.name).tagged())


class _Copies:
    def __init__(
        self,
        order: Order,
        source: Word,
        sink: _Sink,
        places: Places,
        store: Path | None,
        screen: Screen,
        report: Report,
    ) -> None:
        self._order = order
        self._word = source
        self._sink = sink
        self._places = places
        self._store = store
        self._screen = screen
        self._report = report
        self._claims = LocalClaims(places)
        self._blobs = anyio.CapacityLimiter(order.jobs)
        self._errors: list[PullerError] = []
        places.borrow_from(self._claims.lender)

    async def run(self) -> int:
        """Bring it all; the exit code. Raises what kept the only image from coming, or an archive from being whole."""
        source, tags = await self._found()
        if tags is None:
            assert source.root is not None
            await self._copy(self._sink.errand(source, source.root, self._word.text, source.tag, self._order.manner))
            return 0

        async def one(tag: str) -> None:
            await self._tag(source, tag)

        await abreast(tags, one, width=self._order.jobs)
        if self._errors and self._sink.word.kind.endswith("-archive"):
            raise self._errors.pop()  # so that it does not appear
        return gravest([0, *map(exit_code, self._errors)])

    async def _tag(self, source: _From, tag: str) -> None:
        try:
            opened = await self._places.source(source.place)
            name = (source.reference or Reference("docker.io", "library/any")).with_tag(tag)
            root = await opened.resolve(name)
            await self._copy(self._sink.errand(source, root, self._word.text, tag, self._order.manner))
        except PullerError as error:
            self._errors.append(error)
            self._screen.problem(error.at(reference=source.called(self._word.text, tag)))

    async def _copy(self, errand: Errand) -> None:
        await copy(errand, self._places, claims=self._claims, limiter=self._blobs, report=self._report)

    async def _found(self) -> tuple[_From, Sequence[str] | None]:
        """What is to be copied, and the tags where that is all of them."""
        word = self._word
        if word.kind == "registry":
            return await self._in_registry(short_names().to_ask(word.name or ""))
        if word.kind == "store":
            return await self._in_store(word.name or "")
        _check_directory(word)
        source = await self._places.source(word.place)
        if self._order.all_tags:
            self._refuse_name(not word.is_whole)
            return _From(word.place, None), await self._listed(source)
        from puller.store.opened import OpenedLayout  # only now: from registry to registry needs none of it

        if isinstance(source, OpenedLayout) and word.name is not None:
            root = await source.find(word.name)
        else:
            root = await source.resolve(word.named())
        tag = await self._tag_of(source, root)
        return _From(word.place, root, None, tag, word.digest is not None), None

    async def _tag_of(self, source: ImageSource, root: Descriptor) -> str | None:
        """The tag that was given, or without one that of the only image."""
        word = self._word
        if word.digest is not None:
            return None
        if word.name is not None:
            return word.named().tagged().tag if word.kind != "oci" or word.is_tagged else None
        own = [tag for tag in await self._listed(source) if not is_list_tag(tag)]
        return own[0] if len(own) == 1 else None

    async def _in_registry(self, candidates: Sequence[Reference]) -> tuple[_From, Sequence[str] | None]:
        if self._order.all_tags:
            self._refuse_name(any(one.tag or one.digest for one in candidates))

            async def listed(reference: Reference) -> Sequence[str]:
                return await self._listed(await self._places.source(reference.name))

            reference, tags = await meant(candidates, listed)
            return _From(reference.name, None, reference), tags

        async def resolved(reference: Reference) -> Descriptor:
            return await (await self._places.source(reference.name)).resolve(reference)

        reference, root = await meant([one.tagged() for one in candidates], resolved)
        return _From(reference.name, root, reference, reference.tag, reference.digest is not None), None

    async def _in_store(self, text: str) -> tuple[_From, Sequence[str] | None]:
        candidates = spelling()(text)
        for candidate in candidates:
            reference = candidate if self._order.all_tags else candidate.tagged()
            place = str(Spot("store", "", replace(reference, tag=None, digest=None)))
            source = await self._places.source(place)
            if self._order.all_tags:
                self._refuse_name(bool(reference.tag or reference.digest))
                if tags := await self._listed(source):
                    return _From(place, None, reference), tags
                continue
            try:
                root = await source.resolve(reference)
            except ContentMissing:
                continue
            return _From(place, root, reference, reference.tag, reference.digest is not None), None
        await self._refuse_graph(text)
        hint = "`puller images` lists the names that there are."
        raise ContentMissing("the store has no such image", reference=candidates[0].tagged(), hint=hint)

    async def _refuse_graph(self, text: str) -> None:
        """Say of an image of the graph what brings it elsewhere. Raises Unsupported."""
        from puller.ops.graphs.names import find

        try:
            graph = open_graph(await open_store(self._store), None)
            found = await find(text, graph.store, graph)
        except PullerError:
            return
        if found.image_id is not None:
            hint = (
                "`puller push` brings it to a registry as one of today, `puller convert` makes one of today of it here."
            )
            raise Unsupported("an image of the image graph cannot be copied as it is", where=text, hint=hint)

    async def _listed(self, source: ImageSource) -> Sequence[str]:
        tags = [tag async for tag in source.tags()]
        return [tag for tag in tags if not (self._order.manner.referrers and is_list_tag(tag))]

    def _refuse_name(self, is_named: bool) -> None:
        if is_named:
            hint = "Leave out what follows the name or the directory."
            raise InvalidReference("--all-tags wants a repository", got=self._word.text, hint=hint)
