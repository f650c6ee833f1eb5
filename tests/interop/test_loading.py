"""Archives that other tools write, loaded: the IDs and bytes are theirs."""

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from bench.tool import require, run
from testregistry import images
from tests.archive.building import BASE, OTHER, TOP, config, docker, hex_of, layout, packed
from tests.interop.daemon import Daemon, daemon
from tests.interop.puller import Puller
from tests.tools import skipping_without_tools

__all__ = ["daemon"]

pytestmark = pytest.mark.slow

IMAGE = images.image(images.raw_layer(BASE), images.raw_layer(TOP))


@pytest.fixture
def oci(tmp_path: Path) -> Path:
    """An image for skopeo to start from."""
    path = tmp_path / "oci.tar"
    path.write_bytes(packed(layout((IMAGE, "app:1"))))
    return path


def copied(source: str, target: str) -> None:
    with skipping_without_tools():
        require("skopeo")
    run(["skopeo", "copy", "--insecure-policy", source, target])


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
@pytest.mark.parametrize("packer", [None, "gzip", "xz", "bzip2", "zstd"])
def test_what_skopeo_writes_is_loaded(puller: Puller, oci: Path, tmp_path: Path, kind: str, packer: str | None) -> None:
    archive = tmp_path / "skopeo.tar"
    copied(f"oci-archive:{oci}", f"{kind}:{archive}:team/app:2")
    if packer is not None:
        archive.write_bytes(subprocess.run([packer, "-c", archive], capture_output=True, check=True).stdout)
    end = puller.run("load", str(archive))
    assert (end.status, end.out) == (0, f"loaded docker.io/team/app:2 {IMAGE.config.digest}\n")
    assert puller.run("verify", "--all").status == 0


def test_what_docker_saves_is_loaded(puller: Puller, daemon: Daemon, tmp_path: Path) -> None:
    for layers, names in (([BASE, TOP], ["app:1", "127.0.0.1:5000/x/y:z"]), ([BASE, OTHER], ["other:1"])):
        given = tmp_path / "given.tar"
        given.write_bytes(packed(docker(layers, names)))
        daemon.load(given)
    first, second = (f"sha256:{hex_of(config([BASE, top]))}" for top in (TOP, OTHER))
    assert (daemon.images()["app:1"], daemon.images()["other:1"]) == (first, second)
    saved = daemon.save(tmp_path / "saved.tar", "app:1", "127.0.0.1:5000/x/y:z", "other:1")
    end = puller.run("load", str(saved))
    assert (end.status, sorted(end.out.splitlines())) == (
        0,
        [
            f"loaded 127.0.0.1:5000/x/y:z {first}",
            f"loaded docker.io/library/app:1 {first}",
            f"loaded docker.io/library/other:1 {second}",
        ],
    )
    blobs = {path.name for path in (puller.store / "blobs/sha256").iterdir()}
    assert {hex_of(BASE), hex_of(TOP), hex_of(OTHER), *(name.partition(":")[2] for name in (first, second))} <= blobs
    with tarfile.open(saved) as archive:
        members = archive.getnames()
    if "index.json" in members:  # since 25 it brings manifests along
        index = json.loads((puller.store / "index.json").read_text())
        assert {f"blobs/{entry['digest'].replace(':', '/')}" for entry in index["manifests"]} <= set(members)
