"""Saving: the archives of the original member by member, those of today, and nothing else in them."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import from_thread

from puller.errors import ContentCorrupt, ContentMissing, InvalidReference, Unsupported
from puller.model.digest import Digest
from puller.model.platform import Platform
from puller.ops.graphs.graph import Graph
from puller.ops.save import Saved, save
from puller.stream.sink import Chunk
from testregistry import images
from tests.graph.plainvfs import PlainVfs
from tests.graph.recorded import golden, graph_over, stories
from tests.graph.replay import Replay, Told, cannot
from tests.ops.old_world import OLD, OldStory, old_story, tar_of
from tests.ops.story import BASE, IMAGE, TOP

pytestmark = pytest.mark.slow

EXPORTS = [case for case in stories() if "Export" in case["request"]]
AMD64, ARM64 = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")


class Exporter:
    """Saves as Docker 1.9 did, and keeps the archive."""

    def __init__(self) -> None:
        self.archive = bytearray()

    async def __call__(self, graph: Graph, names: list[str]) -> Told:
        await save(names, graph.store, graph, self.archive.extend, old_only=True)
        return {"export_error": None}


class Archive:
    """One that was saved, as any reader of tar sees it."""

    def __init__(self, raw: bytes, saved: Saved) -> None:
        self.raw = raw
        self.saved = saved
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            self.members = {one.name: one for one in archive}
            self.files = {one.name: file.read() for one in archive if (file := archive.extractfile(one))}

    def json(self, name: str) -> Any:
        return json.loads(self.files[name])

    def entry(self) -> dict[str, Any]:
        """The only one of `manifest.json`."""
        (entry,) = self.json("manifest.json")
        assert isinstance(entry, dict)
        return entry

    def config(self) -> Any:
        return self.json(self.entry()["Config"])


async def saved(s: OldStory, *names: str, **words: Any) -> Archive:
    """Save by the names of the registry; IDs and digests as they are."""
    known = [s.story.registry.name(name) if ":" in name and "sha256" not in name else name for name in names]
    raw = bytearray()
    told = await save(known, s.story.store, s.graph, raw.extend, **words)
    assert told.size == len(raw)
    return Archive(bytes(raw), told)


@pytest.mark.parametrize("case", EXPORTS, ids=[case["name"] for case in EXPORTS])
async def test_an_archive_for_old_readers_is_byte_for_byte_the_original_s(case: dict[str, Any], tmp_path: Path) -> None:
    root, exporter = tmp_path / "docker", Exporter()
    told = await Replay(await graph_over(root, PlainVfs(root)), cannot, exporter).run(case)
    assert told["export_error"] == case["export_error"]
    assert bytes(exporter.archive) == golden(f"graph/{case['export_file']}")


@pytest.mark.parametrize("case", EXPORTS, ids=[case["name"] for case in EXPORTS])
async def test_an_archive_for_all_readers_holds_the_original_s_unchanged(case: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "docker"
    raw = bytearray()

    async def export(graph: Graph, names: list[str]) -> Told:
        await save(names, graph.store, graph, raw.extend)
        return {}

    await Replay(await graph_over(root, PlainVfs(root)), cannot, export).run(case)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        found = {one.name: (one, file.read() if (file := archive.extractfile(one)) else None) for one in archive}
    for one in case["export_members"]:
        info, content = found.pop(one["name"])
        assert (info.type.decode(), f"{info.mode:o}", info.size) == (one["type"], one["mode"], one["size"])
        assert (info.mtime, info.uid, info.gid) == (one["mtime"], one["uid"], one["gid"])
        assert content is None or hashlib.sha256(content).hexdigest() == one["sha256"]
    assert all(name.endswith(".json") for name in found)


async def test_a_graph_image_bears_its_mark_and_its_layers_base_first(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        report = await s.pull()
        archive = await saved(s, "app:1")
        ids = [image.image_id for image in report.images]
        assert archive.entry()["Layers"] == [f"{image_id}/layer.tar" for image_id in ids]
        assert archive.entry()["RepoTags"] == [f"{s.story.registry.host}/app:1"]
        config = archive.config()
        assert config["id"] == ids[-1]
        assert config["rootfs"]["diff_ids"] == [layer.diff_id for layer in OLD.layers]
        assert len(config["history"]) == len(ids)
        for image_id, layer in zip(ids, OLD.layers, strict=True):
            assert archive.files[f"{image_id}/layer.tar"] == tar_of(layer)
            assert archive.json(f"{image_id}/json")["id"] == image_id
        assert archive.json("repositories") == {f"{s.story.registry.host}/app": {"1": ids[-1]}}


async def test_a_content_image_keeps_its_config_and_gets_the_folders_of_docker(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        archive = await saved(s, "app:1")
        entry = archive.entry()
        assert entry["Config"] == f"{IMAGE.config.digest.removeprefix('sha256:')}.json"
        assert archive.files[entry["Config"]] == IMAGE.config.raw
        assert [archive.files[name] for name in entry["Layers"]] == [tar_of(BASE), tar_of(TOP)]
        lower, upper = (name.partition("/")[0] for name in entry["Layers"])
        assert archive.json(f"{upper}/json")["parent"] == lower
        assert archive.json("repositories") == {f"{s.story.registry.host}/app": {"1": upper}}
        assert archive.saved.images == 1


async def test_r14_the_same_images_give_the_same_bytes_in_whatever_order_they_are_named(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        s.story.registry.add("old:1", OLD)
        await s.story.pull()
        await s.pull("old:1")
        for form in ("docker", "oci"):
            once = await saved(s, "app:1", "old:1", form=form)
            assert (await saved(s, "old:1", "app:1", "app:1", form=form)).raw == once.raw
            assert once.saved.images == 2


async def test_g9_nothing_but_what_the_given_images_need_is_in_the_archive(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        s.story.registry.add("other:1", images.image(images.layer({"secret": b"secret"})))
        s.story.registry.add("old:1", OLD)
        for name in ("app:1", "other:1"):
            await s.story.pull(name)
        await s.pull("old:1")
        docker, oci = await saved(s, "app:1"), await saved(s, "app:1", form="oci")
        folders = [name for name in docker.members if "/" not in name and name not in docker.files]
        assert len(folders) == 2
        assert len(docker.members) == 2 * 4 + 3
        wanted = {IMAGE.digest, IMAGE.config.digest, BASE.digest, TOP.digest}
        assert {f"sha256:{name[13:]}" for name in oci.files if name.startswith("blobs/")} == wanted
        documents = [docker.json("manifest.json"), docker.json("repositories"), oci.json("index.json")]
        assert "other" not in json.dumps(documents)


async def test_a_repository_without_tag_means_all_its_names_and_an_id_none(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        other = images.image(images.layer({"other": b"image"}))
        s.story.registry.add("app:1", IMAGE)
        s.story.registry.add("app:2", other)
        for name in ("app:1", "app:2"):
            await s.story.pull(name)
        repository = f"{s.story.registry.host}/app"
        every = Archive(*await _raw(s, repository))
        assert sorted(tag for entry in every.json("manifest.json") for tag in entry["RepoTags"]) == [
            f"{repository}:1", f"{repository}:2"
        ]  # fmt: skip
        for text in (IMAGE.config.digest, IMAGE.config.digest.removeprefix("sha256:")[:12]):
            nameless = Archive(*await _raw(s, text))
            assert nameless.entry()["RepoTags"] is None
            assert "repositories" not in nameless.files


async def _raw(s: OldStory, *texts: str) -> tuple[bytes, Saved]:
    raw = bytearray()
    told = await save(texts, s.story.store, s.graph, raw.extend)
    return bytes(raw), told


async def test_an_unknown_image_is_told_as_by_every_verb(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        for text in ("nothing", "nothing:1", "f" * 64, f"nothing@sha256:{'f' * 64}"):
            with pytest.raises(ContentMissing, match="there is no image of this name or ID"):
                await _raw(s, text)
        with pytest.raises(InvalidReference):
            await _raw(s, "UPPER CASE")


async def test_an_index_is_saved_whole_as_an_oci_layout_or_the_one_image_that_is_chosen(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        amd, arm = images.image(BASE), images.image(TOP, platform=("linux", "arm64"))
        both = images.index(amd, arm)
        s.story.registry.add("app:1", both)
        await s.story.pull(platforms=None)
        whole = await saved(s, "app:1", form="oci")
        assert whole.files[f"blobs/sha256/{both.digest[7:]}"] == both.raw
        assert {f"blobs/sha256/{one.digest[7:]}" for one in (amd, arm, BASE, TOP)} <= whole.files.keys()
        one = await saved(s, "app:1", form="oci", platform=ARM64)
        assert [entry["digest"] for entry in one.json("index.json")["manifests"]] == [arm.digest]
        assert f"blobs/sha256/{amd.digest[7:]}" not in one.files
        docker = await saved(s, "app:1", platform=ARM64)
        assert docker.files[docker.entry()["Config"]] == arm.config.raw
        with pytest.raises(Unsupported, match="no platform to choose by"):
            await saved(s, "app:1")


async def test_what_was_never_asked_for_of_an_index_is_left_out(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        amd, arm = images.image(BASE), images.image(TOP, platform=("linux", "arm64"))
        s.story.registry.add("app:1", images.index(amd, arm))
        await s.story.pull()
        archive = await saved(s, "app:1", form="oci")
        assert f"blobs/sha256/{amd.digest[7:]}" in archive.files
        assert f"blobs/sha256/{arm.digest[7:]}" not in archive.files


@pytest.mark.parametrize("form", ["docker", "oci"])
async def test_a_blob_that_was_given_up_must_be_pulled_first(form: str, tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        await s.story.store.delete(Digest.parse(TOP.digest))
        with pytest.raises(ContentMissing) as caught:
            await saved(s, "app:1", form=form)
        assert "puller pull" in caught.value.hint
        assert caught.value.digest == TOP.digest


@pytest.mark.parametrize("form", ["docker", "oci"])
async def test_a_damaged_blob_is_not_saved(form: str, tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        path = s.story.store.layout.blob(Digest.parse(TOP.digest))
        path.chmod(0o600)
        raw = bytearray(path.read_bytes())
        raw[20] ^= 1
        path.write_bytes(raw)
        with pytest.raises(ContentCorrupt):
            await saved(s, "app:1", form=form)


async def test_a_tree_that_changed_since_it_was_measured_is_not_saved(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        report = await s.pull()
        motd = s.graph.place / "vfs" / "dir" / report.images[0].image_id / "etc/motd"
        motd.write_bytes(b"x" * motd.stat().st_size)
        with pytest.raises(ContentCorrupt):
            await saved(s, "app:1")


async def test_graph_images_become_content_images_in_an_oci_layout_with_the_blobs_that_are_here(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await s.pull()
        archive = await saved(s, "app:1", form="oci")
        (entry,) = archive.json("index.json")["manifests"]
        manifest = archive.json(f"blobs/sha256/{entry['digest'][7:]}")
        assert [layer["digest"] for layer in manifest["layers"]] == [layer.digest for layer in OLD.layers]
        assert "id" not in archive.json(f"blobs/sha256/{manifest['config']['digest'][7:]}")
        assert len(archive.files) == 2 + 2 + len(OLD.layers)


async def test_a_manifest_of_schema_1_without_its_image_says_what_to_do(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await s.story.pull()
        with pytest.raises(Unsupported, match="not in the image graph"):
            await saved(s, "app:1")


async def test_layers_are_written_in_pieces_never_whole(tmp_path: Path) -> None:
    pieces: list[int] = []

    def write(chunk: Chunk) -> None:
        pieces.append(len(chunk))

    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", images.image(images.generated_layer(9 << 20, seed=1)))
        await s.story.pull()
        told = await save([s.story.registry.name("app:1")], s.story.store, s.graph, write, form="oci")
    assert told.size > 9 << 20
    assert max(pieces) <= 2 << 20


async def test_a_writer_that_fails_ends_it_with_its_own_error(tmp_path: Path) -> None:
    def full(chunk: Chunk) -> None:
        raise OSError(28, "No space left on device")

    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        with pytest.raises(OSError, match="No space left"):
            await save([s.story.registry.name("app:1")], s.story.store, s.graph, full)


async def test_r7_a_cancel_stops_it_between_two_pieces(tmp_path: Path) -> None:
    pieces = 0
    scope = anyio.CancelScope()

    def write(chunk: Chunk) -> None:
        nonlocal pieces
        pieces += 1
        from_thread.run_sync(scope.cancel)

    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await s.pull()
        with scope:
            await save([s.story.registry.name("app:1")], s.story.store, s.graph, write)
    assert scope.cancelled_caught
    assert pieces == 1
