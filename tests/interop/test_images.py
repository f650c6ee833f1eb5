"""Every kind of real image, pulled from docker-registry, then read by skopeo and umoci straight from the store."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.cache import Cache
from bench.layout import Image
from bench.registry import Registry, serve
from tests.interop.conftest import SET
from tests.interop.puller import Puller

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def tool(*command: str) -> str:
    """Run another reader, which must accept what it is given."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True, slots=True)
class Pulled:
    """A real image, what it was pulled by, and what that said."""

    image: Image
    reference: str
    puller: Puller
    report: dict[str, Any]


@pytest.fixture(scope="module")
def pulled(
    cache: Cache, images: Mapping[str, Image], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Pulled:
    """An image in a store of its own."""
    name, room = request.param, tmp_path_factory.mktemp("pulled")
    puller = Puller(room / "store", room / "docker")
    with serve(cache.registry, room / "registry") as registry:
        reference = registry.name(f"{SET}/{name}")
        report = puller.pull(reference)
    return Pulled(images[name], reference, puller, report)


@pytest.mark.parametrize("pulled", ["small", "medium", "many", "zstd"], indirect=True)
def test_a_real_image_is_pulled_and_every_check_passes(pulled: Pulled) -> None:
    assert pulled.puller.names() == {pulled.reference: pulled.image.digest}
    assert {layer.digest for layer in pulled.image.layers} <= pulled.puller.blobs()
    layers = {blob["digest"]: {c["name"]: c for c in blob["checks"]} for blob in pulled.report["blobs"]}
    for layer in pulled.image.layers:
        checks = layers[layer.digest]
        assert (checks["digest"]["got"], checks["digest"]["passed"]) == (layer.digest, True)
        assert (checks["diff_id"]["got"], checks["diff_id"]["passed"]) == (layer.diff_id, True)
        assert checks["tarsum"]["got"].startswith("tarsum.v1+sha256:")


@pytest.mark.parametrize("pulled", ["small", "medium", "many", "zstd"], indirect=True)
def test_skopeo_inspects_and_copies_a_pulled_image_from_the_store(pulled: Pulled, tmp_path: Path) -> None:
    store = pulled.puller.store
    found = json.loads(tool("skopeo", "inspect", f"oci:{store}:{pulled.reference}"))
    assert found["Digest"] == pulled.image.digest
    assert found["Layers"] == [layer.digest for layer in pulled.image.layers]
    copy_to_folder(store, pulled.reference, tmp_path / "copy")
    copied = {path.name for path in (tmp_path / "copy").iterdir()}
    assert {layer.digest.removeprefix("sha256:") for layer in pulled.image.layers} <= copied


@pytest.mark.parametrize("pulled", ["small", "many"], indirect=True)
def test_umoci_unpacks_a_pulled_gzip_image_from_the_store(pulled: Pulled, tmp_path: Path) -> None:
    # umoci checks the diff IDs itself and fails where they are not the config's.
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    bundle = tmp_path / "bundle"
    tool("umoci", "unpack", *rootless, "--image", f"{pulled.puller.store}:{pulled.reference}", str(bundle))
    assert (bundle / "rootfs/etc/debian_version").read_text().startswith("12.")


def test_an_index_is_narrowed_to_one_platform_and_still_readable(
    registry: Registry, puller: Puller, images: Mapping[str, Image]
) -> None:
    reference = registry.name(f"{SET}/index")
    puller.pull(reference)
    amd64, arm64, armv7 = images["index"].layers
    blobs = puller.blobs()
    assert amd64.digest in blobs
    assert not {arm64.digest, armv7.digest} & blobs
    assert puller.names() == {reference: images["index"].digest}
    found = json.loads(tool("skopeo", "inspect", "--override-arch", "amd64", f"oci:{puller.store}:{reference}"))
    assert (found["Architecture"], found["Layers"]) == ("amd64", [amd64.digest])


def test_a_variant_is_chosen_from_an_index(registry: Registry, puller: Puller, images: Mapping[str, Image]) -> None:
    puller.pull(registry.name(f"{SET}/index"), platform="linux/arm/v7")
    amd64, arm64, armv7 = images["index"].layers
    blobs = puller.blobs()
    assert armv7.digest in blobs
    assert not {amd64.digest, arm64.digest} & blobs


def test_an_index_with_all_platforms_is_copied_whole_by_skopeo(
    registry: Registry, puller: Puller, images: Mapping[str, Image], tmp_path: Path
) -> None:
    reference = registry.name(f"{SET}/index")
    puller.pull(reference, platform=None)
    assert {layer.digest for layer in images["index"].layers} <= puller.blobs()
    copy_to_folder(puller.store, reference, tmp_path / "copy", "--all")
    copied = {path.name for path in (tmp_path / "copy").iterdir()}
    assert {layer.digest.removeprefix("sha256:") for layer in images["index"].layers} <= copied


def test_a_docker_schema_2_image_keeps_its_bytes_and_digest(registry: Registry, puller: Puller) -> None:
    reference = registry.name(f"{SET}/small-docker")
    served = tool("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}").encode()
    puller.pull(reference)
    digest = puller.names()[reference]
    stored = (puller.store / "blobs" / digest.replace(":", "/")).read_bytes()
    assert stored == served
    assert json.loads(stored)["mediaType"] == DOCKER_MANIFEST
    puller.blobs()


def copy_to_folder(store: Path, reference: str, target: Path, *options: str) -> None:
    """`skopeo copy` of a stored image to a plain folder, which reads and hashes every blob of it."""
    source = f"oci:{store}:{reference}"
    tool("skopeo", "--insecure-policy", "copy", "--quiet", *options, source, f"dir:{target}")
