"""Archives as places of copies: what goes in comes out under the same digests, and what fails leaves no file."""

from pathlib import Path

from puller.model.digest import Digest
from puller.ops.copying.archived import open_archive_source, open_archive_target
from testregistry import images
from tests.ops.copying.archives import HERE, Shown, bring, described, index_of, tags, whole

BASE = images.layer({"etc/motd": b"hello\n" * 3000})
TOP = images.layer({"srv/app": b"app\n"}, compression="zstd")
IMAGE = images.image(BASE, TOP)
OTHER = images.image(BASE, images.layer({"x": b"y"}), platform=("linux", "arm64"))
INDEX = images.index(IMAGE, OTHER)


async def test_an_index_goes_through_an_oci_archive_byte_for_byte(tmp_path: Path) -> None:
    path, place = tmp_path / "a.tar", "oci-archive:a.tar"
    async with open_archive_target(path, place, "oci") as target:
        await bring(Shown(INDEX), target, described(INDEX), "1", "latest")
        assert not path.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]
    assert [entry["annotations"] for entry in index_of(path)] == [
        {"org.opencontainers.image.ref.name": "1"}, {"org.opencontainers.image.ref.name": "latest"},
    ]  # fmt: skip
    async with open_archive_source(path, place) as source:
        assert await tags(source) == ["1", "latest"]
        root = await source.resolve(HERE.with_tag("1"))
        assert root == described(INDEX)
        assert await whole(source, root) == {one.digest for one in INDEX.content()}


async def test_an_image_goes_through_an_archive_of_dockers_with_its_id_and_plain_layers(tmp_path: Path) -> None:
    path, place = tmp_path / "a.tar", "docker-archive:a.tar"
    async with open_archive_target(path, place, "docker", repository=HERE) as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
    async with open_archive_source(path, place) as source:
        root = await source.resolve(HERE.with_tag("1"))
        found = await whole(source, root)
        assert IMAGE.config.digest in found
        assert {str(Digest.parse(layer.diff_id)) for layer in IMAGE.layers} < found
