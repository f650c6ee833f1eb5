"""Writing: members in their order, times as Docker states them, the two forms, and nothing else in them."""

import io
import json
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest

from puller.archive.dockerform import SavedImage, SavedLayer, docker_items
from puller.archive.item import Directory, File, Item, Link, Stream, in_order, seconds
from puller.archive.ociform import Root, oci_items
from puller.archive.writer import ArchiveWriter
from puller.errors import DigestMismatch, SizeMismatch
from puller.legacy.gotime import GoTime
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCI_MANIFEST
from puller.stream.sink import Sink


class Text:
    """A feed of a few bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __call__(self, sink: Sink) -> None:
        sink.write(self._content)


def stream(content: bytes) -> Stream:
    return Stream(len(content), Digest.of(content), Text(content))


def layer(name: str, content: bytes, *, own: bool = False) -> SavedLayer:
    return SavedLayer(name * 64, b'{"id":"%b"}' % (name * 64).encode(), 5, stream(content), own)


def names(items: Sequence[Item]) -> list[str]:
    return [item.name for item in items]


def content(items: Sequence[Item], name: str) -> bytes:
    (found,) = [item.content for item in items if isinstance(item, File) and item.name == name]
    assert isinstance(found, bytes)
    return found


def written(write: Sequence[tuple[str, tuple[object, ...]]]) -> bytes:
    raw = io.BytesIO()
    archive = ArchiveWriter(raw.write)
    for method, arguments in write:
        getattr(archive, method)(*arguments)
    archive.finish()
    assert archive.size == len(raw.getvalue())
    return raw.getvalue()


def test_an_archive_is_read_back_as_it_was_written_and_owned_by_nobody_but_root() -> None:
    raw = written(
        [
            ("directory", ("d", 7)),
            ("file", ("d/f", b"content", 8)),
            ("link", ("d/l", "../e", 9)),
            ("file", ("e", b"", 0)),
        ]
    )
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        found = archive.getmembers()
        read = archive.extractfile("d/f")
        assert read is not None
        assert read.read() == b"content"
    assert [(one.name, one.type, one.mtime, one.size) for one in found] == [
        ("d", tarfile.DIRTYPE, 7, 0), ("d/f", tarfile.REGTYPE, 8, 7), ("d/l", tarfile.SYMTYPE, 9, 0),
        ("e", tarfile.REGTYPE, 0, 0),
    ]  # fmt: skip
    assert {(one.uid, one.gid, one.uname, one.gname) for one in found} == {(0, 0, "", "")}
    assert [oct(one.mode) for one in found] == ["0o40755", "0o100644", "0o120777", "0o100644"]
    assert len(raw) % 512 == 0
    assert raw.endswith(bytes(1024))


def test_a_stream_is_held_to_its_size_and_digest() -> None:
    archive = ArchiveWriter(lambda chunk: None)
    short = archive.begin("f", 4, Digest.of(b"four"), 0)
    short.write(b"fou")
    with pytest.raises(SizeMismatch):
        short.finish()
    with pytest.raises(SizeMismatch):
        archive.begin("f", 4, Digest.of(b"four"), 0).write(b"fours")
    other = archive.begin("f", 4, Digest.of(b"four"), 0)
    other.write(b"five")
    with pytest.raises(DigestMismatch):
        other.finish()


def test_members_come_as_a_walk_by_bytes_passes_them() -> None:
    items: list[Item] = [
        File("ab.json", b""),
        File("ab/x", b""),
        Directory("ab"),
        File("a.z", b""),
        Directory("a"),
        File("a/b", b""),
    ]
    assert names(in_order(items)) == ["a", "a/b", "a.z", "ab", "ab/x", "ab.json"]


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 1, tzinfo=UTC), datetime(2000, 2, 29, 23, 59, 59, tzinfo=UTC),
        datetime(2015, 1, 10, 10, 20, 30, tzinfo=UTC), datetime(2100, 3, 1, tzinfo=UTC),
        datetime(2016, 12, 31, 1, 2, 3, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
        datetime(2242, 3, 16, 12, 56, 31, tzinfo=UTC),
    ],
)  # fmt: skip
def test_a_moment_is_stated_in_whole_seconds(moment: datetime) -> None:
    offset = int((moment.utcoffset() or timedelta()).total_seconds() // 60)
    time = GoTime(moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, 999, offset)
    assert seconds(time) == int(moment.timestamp())


def test_a_moment_that_no_header_of_the_time_could_state_is_none() -> None:
    assert seconds(GoTime()) == 0
    assert seconds(GoTime(1969, 12, 31, 23, 59, 59)) == 0
    assert seconds(GoTime(2242, 3, 16, 12, 56, 32)) == 0


def test_images_that_share_a_layer_have_it_once() -> None:
    base, one, two = layer("a", b"base"), layer("b", b"one"), layer("c", b"two")
    items = docker_items([SavedImage([base, one], [], b"{1}"), SavedImage([base, two], [], b"{2}")])
    assert [name for name in names(items) if name.endswith("layer.tar")] == [f"{x * 64}/layer.tar" for x in "abc"]


def test_another_folder_with_the_same_content_links_to_it_and_the_manifest_names_the_file() -> None:
    upper, lower = layer("b", b"same"), layer("a", b"same")
    items = docker_items([SavedImage([upper, lower], [], b"{}")])
    (link,) = [item for item in items if isinstance(item, Link)]
    assert (link.name, link.target) == (f"{'b' * 64}/layer.tar", f"../{'a' * 64}/layer.tar")
    assert json.loads(content(items, "manifest.json"))[0]["Layers"] == [f"{'a' * 64}/layer.tar"] * 2


def test_folders_of_a_graph_hold_their_own_content_in_any_case() -> None:
    items = docker_items([SavedImage([layer("a", b"", own=True), layer("b", b"", own=True)], [], b"{}")])
    assert not any(isinstance(item, Link) for item in items)


def test_the_order_of_images_and_names_does_not_show() -> None:
    one = SavedImage([layer("a", b"1")], [("x", "2"), ("x", "1"), ("w", "1")], b"{1}")
    two = SavedImage([layer("b", b"2")], [("y", "1")], b"{2}")
    again = SavedImage([layer("a", b"1")], [("w", "1")], b"{1}")
    assert _plain(docker_items([one, two])) == _plain(docker_items([two, again, one]))


def _plain(items: Sequence[Item]) -> list[object]:
    return [(i.name, i.content.digest if isinstance(i, File) and isinstance(i.content, Stream) else i) for i in items]


def test_digests_are_names_for_old_readers_only() -> None:
    pinned = f"sha256:{'d' * 64}"
    items = docker_items([SavedImage([layer("a", b"", own=True)], [("x", "1"), ("x", pinned)], b"{}")])
    assert json.loads(content(items, "manifest.json"))[0]["RepoTags"] == ["x:1"]
    assert json.loads(content(items, "repositories")) == {"x": {"1": "a" * 64, pinned: "a" * 64}}


def test_an_image_without_a_name_is_in_no_list_of_names() -> None:
    items = docker_items([SavedImage([layer("a", b"")], [], b"{}")])
    assert "repositories" not in names(items)
    assert json.loads(content(items, "manifest.json"))[0]["RepoTags"] is None


def test_an_archive_for_old_readers_has_nothing_for_those_of_today() -> None:
    items = docker_items([SavedImage([layer("a", b"")], [("x", "1")], None)])
    assert names(items) == [
        "a" * 64,
        *(f"{'a' * 64}/{name}" for name in ("VERSION", "json", "layer.tar")),
        "repositories",
    ]


def test_the_configs_of_an_archive_are_named_by_their_digests() -> None:
    items = docker_items([SavedImage([layer("a", b"")], [], b"{}")])
    name = f"{Digest.of(b'{}').hex}.json"
    assert content(items, name) == b"{}"
    assert json.loads(content(items, "manifest.json"))[0]["Config"] == name


def test_an_oci_layout_holds_its_blobs_once_and_a_name_for_each_entry() -> None:
    manifest = b'{"schemaVersion":2}'
    root = Descriptor(OCI_MANIFEST, Digest.of(manifest), len(manifest), {"other": "annotation"})
    blobs: dict[Digest, bytes | Stream] = {root.digest: manifest, Digest.of(b"blob"): stream(b"blob")}
    items = oci_items([Root(root, ["docker.io/library/x:2", "docker.io/library/x:1"])], blobs)
    assert names(items) == [
        "blobs", "blobs/sha256", *sorted(f"blobs/sha256/{digest.hex}" for digest in blobs), "index.json", "oci-layout"
    ]  # fmt: skip
    entries = json.loads(content(items, "index.json"))["manifests"]
    found = [entry["annotations"] for entry in entries]
    assert [one["org.opencontainers.image.ref.name"] for one in found] == [
        "docker.io/library/x:1",
        "docker.io/library/x:2",
    ]
    assert [one["io.containerd.image.name"] for one in found] == ["docker.io/library/x:1", "docker.io/library/x:2"]
    assert all(one.keys() == {"org.opencontainers.image.ref.name", "io.containerd.image.name"} for one in found)
    assert json.loads(content(items, "oci-layout")) == {"imageLayoutVersion": "1.0.0"}


def test_an_oci_layout_lists_an_image_without_a_name_too() -> None:
    root = Descriptor(OCI_MANIFEST, Digest.of(b"x"), 1)
    (entry,) = json.loads(content(oci_items([Root(root, [])], {root.digest: b"x"}), "index.json"))["manifests"]
    assert "annotations" not in entry
