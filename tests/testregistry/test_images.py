"""Images made for tests: right digests, right references, the same bytes every time."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile

import pytest

from testregistry import images
from testregistry.body import read
from testregistry.grammar import digest_of

FILES: dict[str, images.Entry] = {
    "etc": images.Directory(0o750),
    "etc/motd": b"hello",
    "bin/run": images.File(b"#!", mode=0o755, uid=7, gid=8, mtime=9, xattrs=(("user.a", "b"),)),
    "link": images.Symlink("../out"),
    "hard": images.Hardlink("etc/motd"),
    "dev/null": images.Device("c", 1, 3),
}


def unzstd(raw: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return bytes(zstd.decompress(raw))


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_a_layers_digests_are_those_of_its_bytes_and_of_its_tar(compression: images.Compression) -> None:
    layer = images.layer(FILES, compression)
    plain = {"gzip": gzip.decompress, "zstd": unzstd, "none": bytes}[compression](layer.raw)
    assert layer.digest == digest_of(layer.raw)
    assert layer.diff_id == digest_of(plain)
    assert layer.size == len(layer.raw)
    assert plain == images.tar(FILES)


def test_a_layers_tar_holds_the_entries_in_order() -> None:
    with tarfile.open(fileobj=io.BytesIO(images.tar(FILES))) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == list(FILES)
    run = members[2]
    assert (run.mode, run.uid, run.gid, run.mtime, run.pax_headers["SCHILY.xattr.user.a"]) == (0o755, 7, 8, 9, "b")
    assert (members[3].linkname, members[4].islnk(), members[5].devminor) == ("../out", True, 3)


def test_the_same_files_make_the_same_bytes() -> None:
    first, second = (images.image(images.layer(FILES), images.layer(FILES, "zstd")) for _ in range(2))
    assert first.raw == second.raw


@pytest.mark.parametrize(
    ("format_", "compression", "expected"),
    [
        ("oci", "gzip", "application/vnd.oci.image.layer.v1.tar+gzip"),
        ("oci", "zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
        ("oci", "none", "application/vnd.oci.image.layer.v1.tar"),
        ("docker", "gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    ],
)
def test_layers_are_described_in_the_words_of_the_format(
    format_: images.Format, compression: images.Compression, expected: str
) -> None:
    image = images.image(images.layer(FILES, compression), format=format_)
    (described,) = json.loads(image.raw)["layers"]
    assert described["mediaType"] == expected


def test_the_config_lists_the_diff_ids_and_the_platform() -> None:
    layers = [images.layer({"a": b"1"}), images.layer({"b": b"2"}, "zstd")]
    image = images.image(*layers, platform=("linux", "arm", "v7"), config_extra={"config": {"User": "x"}})
    config = json.loads(image.config.raw)
    assert config["rootfs"]["diff_ids"] == [layer.diff_id for layer in layers]
    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm", "v7")
    assert config["config"] == {"User": "x"}
    assert json.loads(image.raw)["config"]["digest"] == digest_of(image.config.raw)


def test_an_index_lists_its_images_with_their_platforms() -> None:
    amd, arm = images.image(), images.image(platform=("linux", "arm", "v7"))
    listed = json.loads(images.index(amd, arm).raw)["manifests"]
    assert [entry["digest"] for entry in listed] == [amd.digest, arm.digest]
    assert [entry["size"] for entry in listed] == [len(amd.raw), len(arm.raw)]
    assert listed[1]["platform"] == {"architecture": "arm", "os": "linux", "variant": "v7"}


def test_an_artifact_without_blobs_holds_the_empty_descriptor() -> None:
    document = json.loads(images.artifact(artifact_type="a/b").raw)
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2}
    assert (document["config"], document["layers"], document["artifactType"]) == (empty, [empty], "a/b")


def test_an_artifact_names_its_subject() -> None:
    image = images.image()
    document = json.loads(images.artifact(images.blob(b"sig"), subject=image).raw)
    assert document["subject"] == {"mediaType": image.media_type, "digest": image.digest, "size": len(image.raw)}


def test_content_comes_before_what_refers_to_it() -> None:
    layer = images.layer(FILES)
    image = images.image(layer)
    index = images.index(image)
    order = [content.digest for content in index.content()]
    assert order == [image.config.digest, layer.digest, image.digest, index.digest]


def test_a_generated_blob_is_read_in_ranges_as_it_is_read_whole() -> None:
    blob = images.generated_blob(3_000_001, seed=5)
    whole = blob.raw
    assert (len(whole), digest_of(whole)) == (3_000_001, blob.digest)
    for start, stop in (
        (0, 1),
        (1_048_575, 1_048_580),
        (2_999_999, 3_000_001),
        (10, 2_500_000),
        (2_999_999, 9_999_999),
    ):
        assert read(blob.body.slice(start, stop)) == whole[start:stop]
    assert images.generated_blob(3_000_001, seed=6).digest != blob.digest


def test_a_generated_layer_is_a_tar_with_one_file() -> None:
    layer = images.generated_layer(2_000_000)
    with tarfile.open(fileobj=io.BytesIO(layer.raw)) as archive:
        (member,) = archive.getmembers()
    assert member.size == 2_000_000
    assert layer.digest == layer.diff_id == digest_of(layer.raw)
    assert layer.size == len(layer.raw)
    assert layer.raw[1_000:1_003_000] == read(layer.body.slice(1_000, 1_003_000))


def test_a_layer_of_given_bytes_may_claim_any_diff_id() -> None:
    layer = images.blob_layer(b"not gzip", "sha256:" + "0" * 64)
    assert (layer.digest, layer.diff_id) == (digest_of(b"not gzip"), "sha256:" + "0" * 64)
