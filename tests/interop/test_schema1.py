"""Images that skopeo pushed as schema 1 to a real registry: pulled, held to their manifests, converted."""

import hashlib
import json
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.registry import Registry, serve
from puller.legacy.idchain import id_chain
from puller.legacy.schema1 import parse_signed_manifest
from tests.interop.conftest import SET
from tests.interop.daemon import Daemon, daemon
from tests.interop.puller import Puller
from tests.interop.test_images import tool

__all__ = ["daemon"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def old(registry: Registry, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Registry]:
    """A registry of its own with `old/small:1` in schema 1, or with the image that the test says."""
    name = getattr(request, "param", "small")
    with serve(tmp_path / "old-data", tmp_path / "old-registry") as running:
        tool(
            "skopeo", "copy", "-q", "--format", "v2s1", "--src-tls-verify=false", "--dest-tls-verify=false",
            f"docker://{registry.name(f'{SET}/{name}')}", f"docker://{running.name(f'old/{name}')}",
        )  # fmt: skip
        yield running


def served(registry: Registry, repository: str) -> bytes:
    """The manifest as the registry hands it out, asked for without any program of ours."""
    with urllib.request.urlopen(f"http://{registry.host}/v2/{repository}/manifests/1", timeout=10) as answer:
        raw: bytes = answer.read()
    return raw


# A graph keeps a whole tree for each of forty layers.
@pytest.mark.parametrize(
    ("name", "old"), [("small", "small"), pytest.param("many", "many", marks=pytest.mark.torture)], indirect=["old"]
)
def test_an_image_pushed_as_schema_1_is_pulled_under_the_ids_of_its_content(
    name: str, old: Registry, puller: Puller
) -> None:
    report = puller.pull(old.name(f"old/{name}"))
    raw = served(old, f"old/{name}")
    manifest = parse_signed_manifest(raw)
    assert report["digest"] == str(manifest.digest)
    chain = id_chain(manifest.layers())
    assert [image["image_id"] for image in report["images"]] == [candidate.strong_id for candidate in chain]
    for candidate in chain:  # what Docker would find under this ID is what the ID is the sum of
        folder = puller.store / "graph" / candidate.strong_id
        assert hashlib.sha256((folder / "json").read_bytes()).hexdigest() == candidate.strong_id
        assert (folder / "checksum").read_text() == candidate.layer.blob
    top = puller.store / "vfs" / "dir" / chain[-1].strong_id
    assert any(top.iterdir())
    requests = len(old.requests())
    again = puller.pull(old.name(f"old/{name}"))
    assert {image["outcome"] for image in again["images"]} == {"reused"}
    assert not [request for request in old.requests()[requests:] if "/blobs/" in request.path]


def test_an_altered_manifest_is_refused(old: Registry, puller: Puller, tmp_path: Path) -> None:
    """TestPullFailsWithAlteredManifest: the registry's own file is changed, as the original's test did."""
    raw = served(old, "old/small")
    digest = str(parse_signed_manifest(raw).digest).removeprefix("sha256:")
    blob = tmp_path / "old-data/docker/registry/v2/blobs/sha256" / digest[:2] / digest / "data"
    document = json.loads(blob.read_bytes())
    document["fsLayers"][0]["blobSum"] = document["fsLayers"][-1]["blobSum"] = "sha256:" + "0" * 64
    blob.write_bytes(json.dumps(document, indent=3).encode())
    ended = puller.run("pull", f"{old.host}/old/small@sha256:{digest}", "--quiet", "--plain-http", old.host)
    assert ended.status == 3
    assert "image verification failed for digest" in ended.errors
    assert not (puller.store / "graph").exists() or not [*(puller.store / "graph").glob("?" * 64)]


def test_an_altered_layer_is_refused(old: Registry, puller: Puller, tmp_path: Path) -> None:
    """TestPullFailsWithAlteredLayer."""
    layer = parse_signed_manifest(served(old, "old/small")).blobs[0].removeprefix("sha256:")
    blob = tmp_path / "old-data/docker/registry/v2/blobs/sha256" / layer[:2] / layer / "data"
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    ended = puller.run("pull", old.name("old/small"), "--quiet", "--plain-http", old.host)
    assert ended.status == 3
    assert f"filesystem layer verification failed for digest sha256:{layer}" in ended.errors
    assert layer not in {path.name for path in (puller.store / "blobs/sha256").iterdir()}
    assert puller.names() == {}


def test_what_is_converted_is_pulled_by_a_real_daemon(
    old: Registry, puller: Puller, daemon: Daemon, tmp_path: Path
) -> None:
    puller.pull(old.name("old/small"))
    new = f"{old.host}/new/small:1"
    ended = puller.run("convert", old.name("old/small"), new, "--to", "docker")
    assert ended.status == 0, ended.errors
    ended = puller.run("push", new, "--plain-http", old.host)
    assert ended.status == 0, ended.errors
    daemon.run("pull", "-q", new)
    stored = json.loads((puller.store / "blobs" / puller.names()[new].replace(":", "/")).read_bytes())
    assert daemon.images()[new] == stored["config"]["digest"]
    # The layers it has are, byte for byte, those that the graph puts together from its trees.
    layers = daemon.inspect(new)["RootFS"]["Layers"]
    ids = [image["image_id"] for image in puller.report()["images"]]
    saved = tmp_path / "saved.tar"
    assert puller.run("save", old.name("old/small"), "-o", str(saved)).status == 0
    with tarfile.open(saved) as archive:
        files = [archive.extractfile(f"{image_id}/layer.tar") for image_id in ids]
        assert layers == [f"sha256:{hashlib.sha256(file.read()).hexdigest()}" for file in files if file]
