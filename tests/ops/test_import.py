"""import: one image of one archive, under an ID drawn by lot."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from puller.errors import (
    ContentCorrupt,
    DigestMismatch,
    InvalidArchive,
    InvalidReference,
    LayerError,
    PullerError,
    Unsupported,
)
from puller.model.digest import Digest
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.ops.graphs.graph import graph_at
from puller.ops.importing import Wanted, draw_id, import_image
from puller.ops.load import load
from puller.ops.loading.news import Landed, News, Progress, Said
from testregistry import images
from tests.archive.building import BASE, OTHER, TOP, B, config, docker, folder, hex_of, repositories
from tests.ops.loader import Loader, loader, piped, source_of

pytestmark = pytest.mark.slow  # many small tests: for `make test`

NOW = datetime(2015, 1, 2, 3, 4, 5, 600_000, UTC)
ID = "f00d" * 16
WANTED = Wanted(Platform("linux", "arm"), "rootfs.tar", reference=Reference.parse("base:1"))


async def imported(s: Loader, content: bytes = BASE, wanted: Wanted = WANTED, **words: Any) -> Landed:
    s.news = []
    with source_of(content) as fd:
        said = {"hear": s.news.append, "clock": lambda: NOW, "draw": lambda: ID} | words
        return await import_image(fd, s.graph, wanted, **said)


async def test_an_image_is_made_with_what_is_known_of_it(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        assert await imported(s) == Landed("docker.io/library/base:1", ID, "graph")
        image = s.graph.images.get(ID)
        said = json.loads(image.config)
        assert {key: said[key] for key in ("id", "comment", "created", "docker_version", "architecture", "os")} == {
            "id": ID,
            "comment": "Imported from rootfs.tar",
            "created": "2015-01-02T03:04:05.6Z",
            "docker_version": "1.9.0",
            "architecture": "arm",
            "os": "linux",
        }
        assert {"parent", "container"} & said.keys() == set()
        assert (said["config"]["Env"], said["config"]["Cmd"]) == (None, None)
        assert (image.parent, image.checksum, image.v1_compatibility) == ("", None, None)
        assert b"".join(s.graph.images.layer_tar(ID)) == BASE
        assert s.names() == {"base": {"1": ID}}


async def test_a_message_takes_the_place_of_the_origin(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await imported(s, wanted=Wanted(Platform("linux", "amd64"), "-", message="hand-made"))
        assert s.graph.images.get(ID).image.values["comment"] == "hand-made"
        assert s.names() == {}


async def test_each_import_is_an_image_of_its_own(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        for _ in range(2):
            with source_of(BASE) as fd:
                await import_image(fd, s.graph, WANTED)
        assert len(s.ids()) == 2


def test_an_id_never_looks_like_a_number() -> None:
    drawn = iter(["1" * 64, "012345678901" + "a" * 52, "0" * 11 + "a" * 53])
    assert draw_id(lambda: next(drawn)) == "0" * 11 + "a" * 53


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda raw: images.compress(raw, "zstd")])
async def test_an_archive_may_be_compressed_once(tmp_path: Path, pack: Any) -> None:
    async with loader(tmp_path) as s:
        await imported(s, pack(BASE))
        assert b"".join(s.graph.images.layer_tar(ID)) == BASE
        with pytest.raises(InvalidArchive):
            await imported(s, pack(gzip.compress(BASE)), draw=lambda: B)
        assert s.unfinished() == []


@pytest.mark.parametrize("content", [BASE, gzip.compress(BASE)], ids=["plain", "gzip"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_digest_is_that_of_the_bytes_that_came(tmp_path: Path, content: bytes, algorithm: str) -> None:
    wanted = Wanted(Platform("linux", "amd64"), "x", digest=Digest.of(content, algorithm))
    async with loader(tmp_path) as s:
        await imported(s, content, wanted)
        before = s.tree()
        with pytest.raises(DigestMismatch):
            await imported(s, content + b"\0", wanted, draw=lambda: B)
        assert s.tree() == before


@pytest.mark.parametrize("content", [b"junk" * 500, BASE[:700], b"", images.tar({"../victim": b"escaped"})])
async def test_r4_what_cannot_be_unpacked_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    async with loader(tmp_path) as s:
        before = s.tree()
        with pytest.raises(LayerError):
            await imported(s, content)
        assert (s.tree(), s.ids(), s.unfinished()) == (before, [], [])


async def test_a_name_that_cannot_be_undoes_the_import(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        before = s.tree()
        with pytest.raises(PullerError, match="reserved"):
            await imported(s, wanted=Wanted(Platform("linux", "amd64"), "x", reference=Reference.parse("scratch")))
        assert (s.tree(), s.ids()) == (before, [])


@pytest.mark.parametrize("text", ["base@sha256:" + "0" * 64, "sha256:1984"])
def test_a9_a_name_that_promises_content_or_reads_as_an_id_is_no_wish(text: str) -> None:
    with pytest.raises(InvalidReference):
        Wanted(Platform("linux", "amd64"), "x", reference=Reference.parse(text))


@pytest.mark.parametrize("driver", ["aufs", "overlay"])
async def test_a_graph_that_takes_no_images_is_refused_before_anything_is_read(tmp_path: Path, driver: str) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / f"docker/repositories-{driver}").write_text('{"Repositories":{}}')
    async with loader(tmp_path) as s:
        graph = graph_at(s.store, tmp_path / "docker")
        with source_of(b"never looked at") as fd, pytest.raises(Unsupported, match="Leave out --graph"):
            await import_image(fd, graph, WANTED)
        with source_of(folder(B)) as fd, pytest.raises(Unsupported, match="puller save --graph DIR"):
            await load(fd, graph)


async def test_a_file_that_changes_meanwhile_is_no_image(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        before = s.tree()
        with source_of(BASE) as fd:

            def meddle(news: News) -> None:
                if isinstance(news, Progress) and news.what == ID[:12]:
                    os.pwrite(fd, b"meddled", 600)

            with pytest.raises((ContentCorrupt, LayerError)):
                await import_image(fd, s.graph, WANTED, hear=meddle, draw=lambda: ID)
        assert (s.tree(), s.ids()) == (before, [])


async def test_a_name_moves_from_any_kind_of_image(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(docker([OTHER], ["base:1"]))
        old = hex_of(config([OTHER]))[:12]
        await imported(s)
        said = [news.text for news in s.news if isinstance(news, Said)]
        assert said == [f"The image base:1 already exists, renaming the old one with ID {old} to empty string"]
        assert (s.names(), await s.store.tags()) == ({"base": {"1": ID}}, {})
        await imported(s, TOP, draw=lambda: B)
        said = [news.text for news in s.news if isinstance(news, Said)]
        assert said == [f"The image base:1 already exists, renaming the old one with ID {ID[:12]} to empty string"]
        assert repositories({"base": {"1": B}})[1] == json.dumps(s.names(), separators=(",", ":")).encode()


async def test_r4_an_import_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        before = s.tree()
        for what in ("archive", ID[:12]):
            with anyio.CancelScope() as scope, piped(gzip.compress(BASE)) as fd:

                def hear(news: News, scope: anyio.CancelScope = scope, what: str = what) -> None:
                    if isinstance(news, Progress) and news.what == what:
                        scope.cancel()

                await import_image(fd, s.graph, WANTED, hear=hear, draw=lambda: ID)
            assert scope.cancelled_caught
            assert (s.tree(), s.ids(), s.unfinished()) == (before, [], [])


async def test_what_the_tree_does_not_show_is_said(tmp_path: Path) -> None:
    device = tarfile.TarInfo("dev/null")
    device.type = tarfile.CHRTYPE
    device.devmajor, device.devminor = 1, 3
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(device)
    async with loader(tmp_path) as s:
        news: list[News] = []
        await imported(s, packed.getvalue(), hear=news.append)
        assert [one.text for one in news if isinstance(one, Said)] == [
            "1 × device not as the layers say: device nodes were not asked for, or may not be made"
        ]
