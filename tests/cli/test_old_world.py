"""The old world through the command line: what Docker's own tests of October 2015 told, with a registry's journal.

Where Docker's tests built images, an archive of two images with IDs out of nowhere is loaded.
"""

import asyncio
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from testregistry import TestRegistry, images
from tests.cli.conftest import Puller
from tests.cli.program import ran
from tests.ops.old_world import BASE, MIDDLE, TOP, tar_of, texts_of
from tests.rootfs.old_docker import OldImage, old_root

pytestmark = pytest.mark.slow

BASE_ID, DERIVED_ID = hashlib.sha256(b"base").hexdigest(), hashlib.sha256(b"derived").hexdigest()
PAIR = images.schema1(BASE, TOP)


def v1_json(image_id: str, parent: str = "") -> bytes:
    """An image as Docker 1.8 wrote it down after a build."""
    image = {"id": image_id, **({"parent": parent} if parent else {})}
    config = {"Cmd": ["sh"], "Env": None}
    image |= {"created": "2015-08-26T10:00:00Z", "docker_version": "1.8.2", "config": config, "os": "linux"}  # type: ignore[dict-item]  # any JSON
    return json.dumps(image, separators=(",", ":")).encode()


def built(folder: Path, base: str, derived: str) -> Path:
    """An archive as an old `docker save` wrote it, of an image and one built on it."""
    path = folder / "built.tar"
    names: dict[str, dict[str, str]] = {}
    for name, image_id in ((base, BASE_ID), (derived, DERIVED_ID)):
        repository, _, tag = name.rpartition(":")
        names.setdefault(repository, {})[tag] = image_id
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for image_id, text, layer in (
            (BASE_ID, v1_json(BASE_ID), tar_of(BASE)),
            (DERIVED_ID, v1_json(DERIVED_ID, BASE_ID), tar_of(TOP)),
        ):
            _add(archive, f"{image_id}/VERSION", b"1.0")
            _add(archive, f"{image_id}/json", text)
            _add(archive, f"{image_id}/layer.tar", layer)
        _add(archive, "repositories", json.dumps(names).encode())
    return path


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def blobs_asked(registry: TestRegistry) -> set[str]:
    """The blobs that were asked for."""
    requests = registry.journal.requests
    return {request.path.rpartition("/")[2] for request in requests if "/blobs/sha" in request.path}


class Old:
    """The command line, its last report, and the graph as another program would see it."""

    def __init__(self, puller: Puller, home: Path) -> None:
        self._puller = puller
        self.home = home
        self.store = home / "store"

    def run(self, *words: str) -> str:
        """Run in peace; what was printed."""
        end = self._puller(*words)
        assert end.code == 0, end.err
        return end.out

    def pull(self, name: str, *words: str) -> list[dict[str, Any]]:
        """Pull; the images of the report, base first."""
        report = self.home / "report.json"
        self.run("pull", name, "--report", str(report), *words)
        found: list[dict[str, Any]] = json.loads(report.read_text())["pulls"][0]["images"]
        return found

    def tagged(self, name: str) -> str:
        """The ID under a name, from `repositories-vfs`."""
        repository, _, tag = name.rpartition(":")
        image_id: str = json.loads((self.store / "repositories-vfs").read_text())["Repositories"][repository][tag]
        return image_id

    def ids(self) -> set[str]:
        """The images of the graph."""
        return {path.name for path in (self.store / "graph").iterdir() if len(path.name) == 64}

    def checksum(self, image_id: str) -> str | None:
        """Its file, if there is one."""
        file = self.store / "graph" / image_id / "checksum"
        return file.read_text() if file.exists() else None


@pytest.fixture
def old(puller: Puller, home: Path) -> Old:
    return Old(puller, home)


def test_pull_migration(old: Old, registry: TestRegistry, tmp_path: Path) -> None:
    base, derived = registry.name("app:base"), registry.name("app:derived")
    old.run("load", str(built(tmp_path, base, derived)))
    assert (old.tagged(base), old.tagged(derived)) == (BASE_ID, DERIVED_ID)
    assert (old.checksum(BASE_ID), old.checksum(DERIVED_ID)) == (None, None)
    for name in (base, derived):
        old.run("push", name, "--format", "schema1")
    layer = old.checksum(BASE_ID)
    assert layer is not None
    old.run("rm", derived)

    registry.journal.clear()
    first = old.pull(derived)
    assert (first[0]["image_id"], first[0]["outcome"]) == (BASE_ID, "reused")
    assert first[1]["image_id"] not in (DERIVED_ID, BASE_ID)
    assert first[1]["parent"] == BASE_ID
    assert layer not in blobs_asked(registry)
    assert (old.store / "graph" / first[1]["image_id"] / "parent").read_text() == BASE_ID

    old.run("push", derived, "--format", "schema1")
    assert old.pull(derived)[1]["image_id"] == first[1]["image_id"]

    old.run("rm", base)
    old.run("rm", derived)
    assert old.ids() == set()
    fresh = old.pull(derived)
    assert fresh[1]["image_id"] == first[1]["image_id"]
    assert fresh[0]["image_id"] == fresh[0]["strong_id"] != BASE_ID


def test_pull_conflict(old: Old, registry: TestRegistry, tmp_path: Path) -> None:
    name = registry.name("app:latest")
    registry.add("app:latest", PAIR)
    (_, top) = old.pull(name)
    archive = tmp_path / "saved.tar"
    old.run("save", name, "-o", str(archive))
    old.run("rm", name)
    old.run("load", str(archive))
    assert old.tagged(name) == top["image_id"]
    assert old.checksum(top["image_id"]) is None

    conflict = old.pull(name)[1]["image_id"]
    assert conflict == hashlib.sha256(top["image_id"].encode()).hexdigest()
    assert old.tagged(name) == conflict
    assert old.pull(name)[1]["image_id"] == conflict


def old_images(checksums: bool = True) -> list[OldImage]:
    """PAIR as a Docker 1.8 has it that pulled it by the first protocol and pushed it once."""
    found: list[OldImage] = []
    for text, layer in zip(texts_of(PAIR), (BASE, TOP), strict=True):
        image = json.loads(text)
        checksum = layer.digest if checksums else None
        found.append(OldImage(image["id"], image.get("parent"), text.encode(), tar_of(layer), checksum))
    return found


@pytest.mark.parametrize("driver", ["vfs", "overlay", "aufs"])
def test_what_an_old_docker_left_is_found_validated_and_reused(
    driver: str, old: Old, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", PAIR)
    place = old_root(tmp_path / "docker", driver, old_images())
    found = old.pull(registry.name("app:1"), "--graph", str(place), "--verify-disk")
    assert [image["image_id"] for image in found] == [json.loads(text)["id"] for text in texts_of(PAIR)]
    assert {image["outcome"] for image in found} == {"reused"}
    assert blobs_asked(registry) == set()
    names = json.loads((place / f"repositories-{driver}").read_text())["Repositories"]
    assert names == {registry.name("app"): {"1": found[-1]["image_id"]}}
    assert not (old.store / "graph").exists()


def test_an_image_is_built_on_what_an_old_docker_left_where_that_can_be_written(
    old: Old, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", PAIR)
    place = old_root(tmp_path / "docker", "vfs", old_images()[:1])
    base, top = old.pull(registry.name("app:1"), "--graph", str(place))
    assert (base["image_id"], base["outcome"]) == (old_images()[0].image_id, "reused")
    assert blobs_asked(registry) == {TOP.digest}
    assert (place / "vfs/dir" / top["image_id"] / "usr/share/words").is_file()
    assert (place / "graph" / top["image_id"] / "parent").read_text() == base["image_id"]


@pytest.mark.parametrize("driver", ["overlay", "aufs"])
def test_what_can_only_be_read_is_left_as_it_is(
    driver: str, old: Old, puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", PAIR)
    place = old_root(tmp_path / "docker", driver, old_images()[:1])
    end = puller("pull", registry.name("app:1"), "--graph", str(place))
    assert end.code == 1
    assert "docker save" in end.err
    assert blobs_asked(registry) == set()
    assert sorted(path.name for path in (place / "graph").glob("?" * 64)) == [old_images()[0].image_id]
    assert json.loads((place / f"repositories-{driver}").read_text()) == {"Repositories": {}}


def test_an_image_of_today_is_pulled_beside_a_graph_that_nobody_may_write(
    old: Old, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("new:1", images.image(BASE, TOP))
    place = old_root(tmp_path / "docker", "aufs", old_images())
    before = sorted(str(path) for path in place.rglob("*"))
    old.run("pull", registry.name("new:1"), "--graph", str(place))
    assert blobs_asked(registry) >= {images.image(BASE, TOP).config.digest}
    assert BASE.digest not in blobs_asked(registry)
    assert sorted(str(path) for path in place.rglob("*")) == before


@pytest.mark.parametrize("driver", ["devicemapper", "btrfs", "zfs"])
def test_drivers_that_cannot_be_read_are_named_with_a_way_out(
    driver: str, puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", PAIR)
    place = tmp_path / "docker"
    for folder in ("graph", driver):
        (place / folder).mkdir(parents=True)
    (place / f"repositories-{driver}").write_text('{"Repositories":{}}')
    end = puller("pull", registry.name("app:1"), "--graph", str(place))
    assert end.code == 1
    assert driver in end.err
    assert "docker save" in end.err


async def test_two_loads_and_a_pull_of_one_image_share_the_work(
    registry: TestRegistry, home: Path, tmp_path: Path
) -> None:
    name = registry.name("app:1")
    registry.add("app:1", images.schema1(BASE, MIDDLE, TOP))
    pulled = await ran("pull", name, home=home)
    assert pulled.code == 0, pulled.err
    archive = tmp_path / "saved.tar"
    assert (await ran("save", name, "-o", str(archive), home=home)).code == 0
    other = tmp_path / "other"
    other.mkdir()
    loads = [ran("load", str(archive), home=other) for _ in range(2)]
    ends = await asyncio.gather(*loads, ran("pull", name, home=other))
    assert [end.code for end in ends] == [0, 0, 0], [end.err for end in ends]
    checked = await ran("verify", "--all", home=other)
    assert checked.code == 0, checked.out + checked.err
    scratch = other / ".local/share/puller/graph/_tmp"
    assert [path.name for path in scratch.iterdir() if path.name != "locks"] == []
