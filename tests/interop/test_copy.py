"""Copies of real images between places of every kind, in every pairing, put there and found again by skopeo."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.layout import Image
from bench.registry import Registry, manifest_digest, serve
from tests.interop.copying import KINDS, Kind, Known, Stand, digest_of
from tests.interop.daemon import Daemon, daemon
from tests.interop.puller import Puller
from tests.tools import skipping_without_tools, skopeo

__all__ = ["daemon"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

INDEXED: tuple[Kind, ...] = ("registry", "oci", "oci-archive", "store")
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(scope="session")
def crowd(images: Mapping[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """One image in a place of each kind, by the name `source`; nobody changes it."""
    folder = tmp_path_factory.mktemp("crowd")
    with skipping_without_tools():
        with serve(folder / "data", folder / "registry") as running:
            made = Stand(running, folder, Puller(folder / "store", folder / "docker"))
            for kind in KINDS:
                made.fill(kind, "source", Known(images["small"]))
            yield made


@pytest.fixture
def stand(target: Registry, tmp_path: Path, puller: Puller) -> Stand:
    """Empty places."""
    return Stand(target, tmp_path, puller)


# --- every pairing ---


@pytest.mark.parametrize("there", KINDS)
@pytest.mark.parametrize("here", KINDS)
def test_an_image_goes_from_any_place_to_any_other(
    crowd: Stand, images: Mapping[str, Image], here: Kind, there: Kind
) -> None:
    known, name = Known(images["small"]), f"from-{here}"
    digest = crowd.copy(crowd.ours(here, "source"), crowd.ours(there, name))
    plain = "docker-archive" in (here, there)
    if here != "docker-archive":
        assert digest == known.image.digest
    crowd.check(there, name, known, plain=plain)


@pytest.mark.parametrize("there", KINDS)
def test_an_archive_of_dockers_gives_the_image_that_load_and_convert_make_of_it(
    crowd: Stand, tmp_path: Path, there: Kind
) -> None:
    """In layouts with a manifest of OCI's, since skopeo finds no other by name there."""
    name = "again"
    digest = crowd.copy(crowd.ours("docker-archive", "source"), crowd.ours(there, name))
    loader = Puller(tmp_path / "store", crowd.puller.config)
    assert loader.run("load", str(crowd.folder / "source-docker.tar")).status == 0
    if there in ("oci", "oci-archive"):
        assert loader.run("convert", "localhost/source:1", "--to", "oci").status == 0
    assert set(loader.names().values()) == {digest}
    if there != "docker-archive":
        assert digest_of(crowd.raw(there, name)) == digest


def test_an_archive_of_dockers_says_what_the_image_is(crowd: Stand, images: Mapping[str, Image]) -> None:
    known = Known(images["small"])
    crowd.copy(crowd.ours("registry", "source"), crowd.ours("docker-archive", "said"))
    entry = crowd.listed("said")
    assert entry["Config"] == f"{known.config.removeprefix('sha256:')}.json"
    assert entry["RepoTags"] == ["localhost/said:1"]
    assert entry["Layers"] == [f"{diff_id.removeprefix('sha256:')}.tar" for diff_id in known.diff_ids]
    told = json.loads(skopeo("inspect", "--config", crowd.theirs("docker-archive", "said")))
    assert told["rootfs"]["diff_ids"] == known.diff_ids


def test_docker_loads_what_was_copied_for_it_and_what_it_saves_is_copied_back(
    stand: Stand, images: Mapping[str, Image], daemon: Daemon
) -> None:
    known = Known(images["small"])
    stand.copy(known.word, stand.ours("docker-archive", "copy"))
    assert "Loaded image: localhost/copy:1" in daemon.load(stand.folder / "copy-docker.tar")
    assert daemon.images() == {"localhost/copy:1": known.config}
    daemon.save(stand.folder / "saved-docker.tar", "localhost/copy:1")
    stand.copy(f"docker-archive:{stand.folder / 'saved-docker.tar'}", stand.ours("registry", "back"))
    stand.check("registry", "back", known, plain=True)


@pytest.mark.parametrize("there", KINDS)
def test_an_image_of_zstd_layers_stays_what_it_is(stand: Stand, images: Mapping[str, Image], there: Kind) -> None:
    known = Known(images["zstd"])
    stand.copy(known.word, stand.ours(there, "copy"))
    stand.check(there, "copy", known, plain=there == "docker-archive")


def test_a_long_way_round_ends_where_it_began(stand: Stand, images: Mapping[str, Image]) -> None:
    known = Known(images["small"])
    way: tuple[Kind, ...] = ("oci-archive", "registry", "store", "oci")
    word = known.word
    for kind in way:
        assert stand.copy(word, stand.ours(kind, "copy")) == known.image.digest
        word = stand.ours(kind, "copy")
    stand.check("oci", "copy", known, plain=False)


def test_a_second_copy_brings_nothing(crowd: Stand, images: Mapping[str, Image]) -> None:
    crowd.copy(crowd.ours("registry", "source"), crowd.ours("registry", "twice"))
    before = len(crowd.registry.requests())
    assert crowd.copy(crowd.ours("registry", "source"), crowd.ours("registry", "twice")) == images["small"].digest
    asked = crowd.registry.requests()[before:]
    # One question for each blob: to be mounted is as good as to be there.
    assert {(request.method, request.status) for request in asked} == {("HEAD", 200), ("GET", 200), ("POST", 201)}
    assert not [request for request in asked if request.method == "GET" and "/blobs/" in request.path]


def test_what_the_same_registry_has_is_mounted(crowd: Stand, images: Mapping[str, Image]) -> None:
    before = len(crowd.registry.requests())
    crowd.copy(crowd.ours("registry", "source"), crowd.ours("registry", "mounted"))
    asked = crowd.registry.requests()[before:]
    mounts = [r for r in asked if r.method == "POST" and "mount=" in r.path and r.status == 201]
    assert len(mounts) == len(images["small"].layers) + 1
    assert not [r for r in asked if r.method == "PATCH" or (r.method == "GET" and "/blobs/" in r.path)]


# --- many platforms ---


@pytest.mark.parametrize("there", INDEXED)
def test_an_index_goes_whole(stand: Stand, images: Mapping[str, Image], there: Kind) -> None:
    known = Known(images["index"])
    assert stand.copy(known.word, stand.ours(there, "copy")) == known.image.digest
    assert digest_of(stand.raw(there, "copy")) == known.image.digest
    taken = set(stand.taken(there, "copy", "--all").values())
    assert {layer.digest for layer in known.image.layers} <= taken
    assert {entry["digest"] for entry in known.manifest["manifests"]} <= taken


@pytest.mark.parametrize("there", ["oci", "oci-archive", "store"])
def test_a_sparse_index_keeps_its_digest(stand: Stand, images: Mapping[str, Image], there: Kind) -> None:
    known = Known(images["index"])
    ended = stand.run(known.word, stand.ours(there, "copy"), "--platform", "linux/arm64", "--sparse")
    assert ended.status == 0, ended.errors
    assert "linux/arm64" in ended.errors  # what is not there is said
    assert digest_of(stand.raw(there, "copy")) == known.image.digest
    _, arm64, _ = known.image.layers
    taken = set(stand.taken(there, "copy", "--override-arch", "arm64").values())
    assert arm64.digest in taken


def test_a_registry_that_wants_all_of_an_index_gets_no_sparse_one(stand: Stand, images: Mapping[str, Image]) -> None:
    known = Known(images["index"])
    ended = stand.run(known.word, stand.ours("registry", "copy"), "--platform", "linux/arm64", "--sparse")
    assert ended.status == 1
    assert "index" in ended.errors
    assert manifest_digest(stand.registry, "copy", "1", OCI_INDEX) is None


@pytest.mark.parametrize("there", INDEXED)
def test_a_rewritten_index_has_what_was_chosen(stand: Stand, images: Mapping[str, Image], there: Kind) -> None:
    known = Known(images["index"])
    options = ("--platform", "linux/arm64", "--platform", "linux/arm/v7", "--rewrite-index")
    digest = stand.copy(known.word, stand.ours(there, "copy"), *options)
    raw = stand.raw(there, "copy")
    assert digest_of(raw) == digest != known.image.digest
    entries = known.manifest["manifests"]
    assert [entry["digest"] for entry in json.loads(raw)["manifests"]] == [entry["digest"] for entry in entries[1:]]
    taken = set(stand.taken(there, "copy", "--all").values())
    assert {layer.digest for layer in known.image.layers[1:]} <= taken


@pytest.mark.parametrize("there", KINDS)
def test_one_image_of_an_index_goes_alone(stand: Stand, images: Mapping[str, Image], there: Kind) -> None:
    known = Known(images["index"])
    digest = stand.copy(known.word, stand.ours(there, "copy"), "--platform", "linux/arm64", "--single")
    assert digest == known.manifest["manifests"][1]["digest"]
    config: dict[str, Any] = json.loads(
        skopeo("inspect", "--config", "--tls-verify=false", "--override-arch", "arm64", stand.theirs(there, "copy"))
    )
    assert config["rootfs"]["diff_ids"] == [known.image.layers[1].diff_id]


# --- several images ---


def test_all_tags_of_an_archive_go_to_a_registry_and_back(stand: Stand, images: Mapping[str, Image]) -> None:
    for tag, name in (("a", "small"), ("b", "medium")):
        stand.copy(Known(images[name]).word, f"{stand.registry.host}/copy:{tag}")
    archive = f"oci-archive:{stand.folder / 'all.tar'}"
    ended = stand.run(f"{stand.registry.host}/copy", archive, "--all-tags", "-q")
    assert ended.status == 0, ended.errors
    for tag, name in (("a", "small"), ("b", "medium")):
        found = json.loads(skopeo("inspect", f"{archive}:{tag}"))
        assert found["Digest"] == images[name].digest
    ended = stand.run(archive, f"{stand.registry.host}/back", "--all-tags", "-q")
    assert ended.status == 0, ended.errors
    for tag, name in (("a", "small"), ("b", "medium")):
        found = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{stand.registry.host}/back:{tag}"))
        assert found["Digest"] == images[name].digest
