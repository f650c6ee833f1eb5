"""Places: what texts stand for, and that each is opened once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from puller.contracts.content import ContentStore
from puller.contracts.images import ImageSource
from puller.errors import ContentMissing, InputError, Unsupported
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.ops.copying.places import Places, RegistryPlace, Spot
from puller.store.disk import DiskStore
from puller.store.plain import PlainLayout
from tests.contracts.sample import blob, image
from tests.store.plainly import entry, put, write_layout

APP = image(blob(1_000, 1))
NAME = "registry.example/team/app"


class Desk:
    """Registries that hand out empty words, and note what they were asked for."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.targets: list[str] = []
        self.lenders: list[Callable[[Digest], str | None]] = []

    def source(self, reference: Reference) -> ImageSource:
        self.sources.append(str(reference))
        return _Somewhere()  # type: ignore[return-value]  # no more of it is asked for

    def repository(
        self, reference: Reference, *, lenders: Callable[[Digest], str | None] | None = None
    ) -> RegistryPlace:
        self.targets.append(str(reference))
        assert lenders is not None
        self.lenders.append(lenders)
        return _Somewhere()  # type: ignore[return-value]  # no more of it is asked for

    async def catalog(self, registry: str) -> AsyncIterator[str]:
        yield f"{registry} has this"


class _Somewhere:
    pass


def opener(root: Path, opened: list[str] | None = None) -> Callable[[str], Awaitable[ContentStore]]:
    async def open_store(folder: str) -> ContentStore:
        if opened is not None:
            opened.append(folder)
        return await DiskStore.open(Path(folder) if folder else root / "own", reserve=0)

    return open_store


def places(tmp_path: Path, desk: Desk | None = None) -> Places:
    return Places(desk or Desk(), stores=opener(tmp_path))


@pytest.mark.parametrize(
    ("text", "spot"),
    [
        ("docker.io/library/debian", Spot("registry", "", Reference("docker.io", "library/debian"))),
        ("oci:/srv/mirror", Spot("oci", "/srv/mirror")),
        ("oci:/srv/a:b@c", Spot("oci", "/srv/a:b@c")),
        ("oci-archive:/a.tar", Spot("oci-archive", "/a.tar")),
        ("docker-archive:/a.tar", Spot("docker-archive", "/a.tar")),
        ("store:#docker.io/library/debian", Spot("store", "", Reference("docker.io", "library/debian"))),
        ("store:/data#1#h.example/x", Spot("store", "/data#1", Reference("h.example", "x"))),
        ("store:/data#h.example/x", Spot("store", "/data", Reference("h.example", "x"))),
        ("oci:5000/debian", Spot("registry", "", Reference("oci:5000", "debian"))),
        ("store:5000/debian", Spot("registry", "", Reference("store:5000", "debian"))),
    ],
)
def test_places_are_read_and_written(text: str, spot: Spot) -> None:
    assert Spot.parse(text) == spot
    assert str(spot) == text


@pytest.mark.parametrize("text", ["oci:/srv//mirror/", "oci:/srv/x/../mirror", "oci:/srv/./mirror"])
def test_one_directory_is_one_place_however_it_is_written(text: str) -> None:
    assert str(Spot.parse(text)) == "oci:/srv/mirror"


@pytest.mark.parametrize(
    "text",
    [
        *("", "debian", "docker.io/library/debian:12", "docker://docker.io/library/debian", "h.example/../x"),
        *("oci:", "oci:relative", "store:", "store:#x", "store:/x#", "store:rel#h.example/x"),
        f"{NAME}@{APP.manifest.digest}",
    ],
)
def test_a5_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Spot.parse(text)


async def test_each_place_is_opened_once_by_whoever_asks(tmp_path: Path) -> None:
    desk, found = Desk(), set()

    async def ask(opened: Places) -> None:
        found.add(id(await opened.source(NAME)))
        found.add(id(await opened.target(NAME)))
        found.add(id(await opened.keeper(NAME)))

    async with places(tmp_path, desk) as opened, anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(ask, opened)
    assert (desk.sources, desk.targets, len(found)) == ([NAME], [NAME], 2)


async def test_a_store_is_opened_once_for_all_of_its_repositories(tmp_path: Path) -> None:
    folders: list[str] = []
    async with Places(Desk(), stores=opener(tmp_path, folders)) as opened:
        await opened.target("store:#h.example/x")
        await opened.source("store:#h.example/y")
        other = await opened.target(f"store:{tmp_path}/other#h.example/x")
    assert folders == ["", f"{tmp_path}/other"]
    assert other.place == f"store:{tmp_path}/other#h.example/x"


async def test_what_failed_to_open_is_opened_again(tmp_path: Path) -> None:
    async with places(tmp_path) as opened:
        with pytest.raises(ContentMissing):
            await opened.source(f"oci:{tmp_path}/later")
        write_layout(tmp_path / "later", entry(APP.manifest, "1.0"), blobs=APP.blobs)
        source = await opened.source(f"oci:{tmp_path}/later")
        assert [tag async for tag in source.tags()] == ["1.0"]


async def test_a_directory_is_copied_to_and_from_in_one_run(tmp_path: Path) -> None:
    place = f"oci:{tmp_path}/images"
    async with places(tmp_path) as opened:
        target = await opened.target(place)
        assert isinstance(target, PlainLayout)
        assert target is await opened.keeper(place)
        await put(target, APP, "1.0")
        source = await opened.source(place)
        assert source is target  # which knows what it has written
        assert await source.resolve(Reference.parse("x:1.0")) == APP.manifest.descriptor


async def test_what_was_brought_is_held_until_the_run_ends(tmp_path: Path) -> None:
    async with places(tmp_path) as opened:
        target = await opened.target("store:#h.example/x")
        async with target.ingest(APP.config.descriptor) as ingest:
            assert ingest is not None
            await ingest.write(APP.config.content)
            await ingest.commit()
        store = await DiskStore.open(tmp_path / "own", reserve=0)
        assert APP.config.digest in await store.leased()
    assert await store.leased() == set()


async def test_tags_of_archives_are_not_taken_away(tmp_path: Path) -> None:
    async with places(tmp_path) as opened:
        with pytest.raises(Unsupported):
            await opened.keeper(f"oci-archive:{tmp_path}/a.tar")


async def test_an_archive_does_not_appear_after_an_error(tmp_path: Path) -> None:
    async def copy(error: Exception | None) -> None:
        async with places(tmp_path) as opened:
            target = await opened.target(f"oci-archive:{tmp_path}/a.tar")
            for one in (APP.config, *APP.layers):
                async with target.ingest(one.descriptor) as ingest:
                    assert ingest is not None
                    await ingest.write(one.content)
                    await ingest.commit()
            await target.put_manifest(APP.manifest.content, APP.manifest.descriptor, "1.0")
            if error is not None:
                raise error

    with pytest.raises(RuntimeError):
        await copy(RuntimeError("in the middle"))
    assert not (tmp_path / "a.tar").exists()
    await copy(None)
    assert (tmp_path / "a.tar").exists()


async def test_blobs_are_lent_by_the_only_source_in_the_same_registry(tmp_path: Path) -> None:
    desk, digest = Desk(), APP.config.digest
    async with places(tmp_path, desk) as opened:
        await opened.target("h.example/to")
        (lender,) = desk.lenders
        assert lender(digest) is None
        await opened.source("elsewhere.example/other")
        assert lender(digest) is None
        await opened.source("h.example/from")
        assert lender(digest) == "from"
        await opened.source("h.example/second")
        assert lender(digest) is None


async def test_whoever_knows_who_lends_is_asked(tmp_path: Path) -> None:
    desk = Desk()
    known = {APP.config.digest: "third", APP.manifest.digest: "to"}
    async with places(tmp_path, desk) as opened:
        opened.borrow_from(lambda registry, digest: known.get(digest) if registry == "h.example" else None)
        await opened.target("h.example/to")
        await opened.source("h.example/from")
        (lender,) = desk.lenders
        assert [lender(one.digest) for one in APP.blobs] == ["third", "from", "from"]
