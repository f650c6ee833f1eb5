"""What is pushed to Debian's docker-registry, read back from there by skopeo: in every form, over lines that break."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.registry import Registry
from testregistry import TestRegistry, images
from tests.cli.serving import serving
from tests.interop.puller import Puller
from tests.interop.relay import relay
from tests.tools import skopeo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

BASE = images.layer({"etc/motd": b"hello\n" * 100, "usr/share/words": bytes(range(256)) * 700})
TOP = images.layer({"srv/app/main.py": b"print('app')\n"})
LARGE = images.generated_layer(40 << 20, seed=3)
IMAGE = images.image(BASE, LARGE)
INDEX = images.index(images.image(BASE), images.image(TOP, platform=("linux", "arm64")))
OLD = images.schema1(BASE, TOP)


@pytest.fixture
def source() -> Iterator[TestRegistry]:
    """Where the images come from."""
    with serving() as registry:
        registry.add("app:1", IMAGE)
        registry.add("index:1", INDEX)
        registry.add("old:1", OLD)
        yield registry


def inspected(name: str, *words: str) -> Any:
    return json.loads(skopeo("inspect", "--tls-verify=false", *words, f"docker://{name}"))


def copied(name: str, folder: Path, *words: str) -> set[str]:
    """The names of all files of a copy; skopeo compares every digest on the way."""
    skopeo("copy", "-q", "--insecure-policy", "--src-tls-verify=false", *words, f"docker://{name}", f"dir:{folder}")
    return {path.name for path in folder.iterdir()}


def push(puller: Puller, *words: str) -> str:
    ended = puller.run("push", *words, "-q")
    assert ended.status == 0, ended.errors
    return ended.out.split()[-1]


def test_an_image_arrives_byte_for_byte(source: TestRegistry, target: Registry, puller: Puller, tmp_path: Path) -> None:
    puller.pull(source.name("app:1"), "--no-unpack")
    assert push(puller, source.name("app:1"), target.name("copy")) == IMAGE.digest
    assert inspected(target.name("copy"))["Digest"] == IMAGE.digest
    assert skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{target.name('copy')}").encode() == IMAGE.raw
    assert LARGE.digest.removeprefix("sha256:") in copied(target.name("copy"), tmp_path / "copy")


def test_an_index_arrives_with_all_its_platforms(
    source: TestRegistry, target: Registry, puller: Puller, tmp_path: Path
) -> None:
    puller.pull(source.name("index:1"), platform=None)
    assert push(puller, source.name("index:1"), target.name("copy")) == INDEX.digest
    copied(target.name("copy"), tmp_path / "copy", "--all")


def test_a_line_that_breaks_costs_the_blob_that_was_under_way_and_no_more(
    source: TestRegistry, target: Registry, puller: Puller, tmp_path: Path
) -> None:
    puller.pull(source.name("app:1"), "--no-unpack")
    with relay(target.host, cut_after=25 << 20) as wire:
        assert push(puller, source.name("app:1"), f"{wire.host}/copy:1") == IMAGE.digest
        assert wire.has_cut
    copied(target.name("copy"), tmp_path / "copy")
    uploads = [(r.method, r.status) for r in target.requests() if "/blobs/uploads/" in r.path]
    # This registry forgets an upload whose stream broke (its state says another offset), so it is begun again.
    assert [status for method, status in uploads if method == "GET"] == [404]
    assert uploads.count(("PATCH", 202)) == 1
    assert uploads.count(("POST", 202)) == 4


@pytest.mark.parametrize(("form", "kind"), [("schema2", "v2s2"), ("oci", "oci")])
def test_an_image_of_the_graph_arrives_as_an_image_of_today(
    source: TestRegistry, target: Registry, puller: Puller, tmp_path: Path, form: str, kind: str
) -> None:
    puller.pull(source.name("old:1"))
    digest = push(puller, source.name("old:1"), target.name("copy"), "--format", form)
    found = inspected(target.name("copy"))
    assert (found["Digest"], found["Layers"]) == (digest, [BASE.digest, TOP.digest])
    copied(target.name("copy"), tmp_path / kind)
    config = inspected(target.name("copy"), "--config")
    assert config["rootfs"]["diff_ids"] == [BASE.diff_id, TOP.diff_id]
    assert (config["architecture"], config["os"]) == ("amd64", "linux")


def test_an_image_of_the_graph_arrives_as_schema_1(
    source: TestRegistry, target: Registry, puller: Puller, tmp_path: Path
) -> None:
    puller.pull(source.name("old:1"))
    digest = push(puller, source.name("old:1"), target.name("copy"), "--format", "schema1")
    raw = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{target.name('copy')}"))
    assert raw["schemaVersion"] == 1
    assert [layer["blobSum"] for layer in raw["fsLayers"]] == [TOP.digest, BASE.digest]
    assert inspected(target.name("copy"))["Digest"] == digest
    copied(target.name("copy"), tmp_path / "copy")


def test_a_second_push_sends_nothing(source: TestRegistry, target: Registry, puller: Puller) -> None:
    puller.pull(source.name("old:1"))
    for form in ("schema1", "schema2"):
        push(puller, source.name("old:1"), target.name("copy", form), "--format", form)
        before = len(target.requests())
        push(puller, source.name("old:1"), target.name("copy", form), "--format", form)
        assert {request.method for request in target.requests()[before:]} == {"HEAD"}
