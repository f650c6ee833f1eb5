"""Copies that are cut off: at any byte they go on or begin again, and no tag ever stands for what is not there."""

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import pytest

from bench.layout import Image
from bench.registry import Registry, manifest_digest, serve
from testregistry import TestRegistry, faults
from testregistry import images as made
from tests.cli.serving import serving
from tests.interop.copying import Kind, Known, Stand
from tests.interop.puller import REF_NAME, Puller
from tests.interop.relay import relay
from tests.tools import skipping_without_tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SHARES = (0.0001, 0.2, 0.45, 0.7, 0.999)  # of all bytes that a copy sends
MIB = 1 << 20
RATE = 40 * MIB  # bytes a second: so that there is a middle to be killed in

BASE = made.generated_layer(3 * MIB + 17, seed=1)
IMAGE = made.image(BASE, made.layer({"srv/app": b"app\n"}))


@pytest.fixture
def stand(tmp_path: Path, puller: Puller) -> Iterator[Stand]:
    """Empty places."""
    with skipping_without_tools():
        with serve(tmp_path / "data", tmp_path / "registry") as running:
            yield Stand(running, tmp_path, puller)


def check_order(registry: Registry, known: Known) -> None:
    """By its own log the registry had every blob before it had the name."""
    done = [(request.method, request.path) for request in registry.requests() if request.status == 201]
    named = done.index(("PUT", "/v2/copy/manifests/1"))
    before = " ".join(path for method, path in done[:named] if method == "PUT")
    for digest in (known.config, *(layer.digest for layer in known.image.layers)):
        assert digest.replace(":", "%3A") in before


def killed(stand: Stand, words: list[str], is_time: Callable[[], bool]) -> None:
    """Begin a copy and kill it when it is time."""
    with stand.puller.start(*words) as process:
        while not is_time() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()


# --- to a registry ---


@pytest.mark.parametrize("share", SHARES)
def test_an_upload_that_is_cut_goes_on_or_begins_again(stand: Stand, images: Mapping[str, Image], share: float) -> None:
    known = Known(images["medium"])
    with relay(stand.registry.host, cut_after=int(known.image.size * share)) as wire:
        ended = stand.run(known.word, f"docker://{wire.host}/copy:1", "-q", host=wire.host)
        assert wire.has_cut
    assert ended.status == 0, ended.errors
    check_order(stand.registry, known)
    stand.check("registry", "copy", known, plain=False)


@pytest.mark.parametrize("share", SHARES)
def test_r5_a_killed_upload_leaves_no_name_and_the_next_one_finishes(
    stand: Stand, images: Mapping[str, Image], share: float
) -> None:
    known = Known(images["medium"])
    with relay(stand.registry.host) as wire:
        words = stand.words(known.word, f"docker://{wire.host}/copy:1", "-q", host=wire.host)
        killed(stand, words, lambda: wire.sent >= known.image.size * share)
    if manifest_digest(stand.registry, "copy", "1", OCI_MANIFEST) is not None:
        check_order(stand.registry, known)
    assert stand.copy(known.word, stand.ours("registry", "copy")) == known.image.digest
    check_order(stand.registry, known)
    stand.check("registry", "copy", known, plain=False)


def test_what_a_killed_upload_has_brought_is_not_sent_again(stand: Stand, images: Mapping[str, Image]) -> None:
    known = Known(images["medium"])
    largest = max(layer.size for layer in known.image.layers)
    with relay(stand.registry.host) as wire:
        words = stand.words(known.word, f"docker://{wire.host}/copy:1", "-q", "--jobs", "1", host=wire.host)
        killed(stand, words, lambda: wire.sent >= known.image.size * 0.9)
    with relay(stand.registry.host) as wire:
        ended = stand.run(known.word, f"docker://{wire.host}/copy:1", "-q", host=wire.host)
        assert ended.status == 0, ended.errors
        assert wire.sent < known.image.size * 0.1 + largest + MIB
    stand.check("registry", "copy", known, plain=False)


@pytest.fixture
def target() -> Iterator[TestRegistry]:
    """A registry whose uploads can be cut at a byte."""
    with serving() as registry:
        yield registry


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("after", [0, 1, 65_536, MIB - 1, MIB, MIB + 1, 2 * MIB + 5, 3 * MIB + 16])
def test_an_upload_cut_at_this_very_byte_arrives(
    target: TestRegistry, puller: Puller, tmp_path: Path, after: int, keep: bool
) -> None:
    layout = laid_out(tmp_path)
    target.faults.append(faults.cut_upload(after=after, keep=keep))
    ended = puller.run("copy", f"oci:{layout}:1", f"{target.host}/copy:1", "--plain-http", target.host, "-q")
    assert ended.status == 0, ended.errors
    assert whole(target, "copy", "1") == {one.digest for one in IMAGE.content()}
    assert sum(bool(one.faults) for one in target.journal.find("PATCH")) == 1
    assert [one.status for one in target.journal.find("PUT", kind="manifest")] == [201]


@pytest.mark.parametrize("kind", ["upload", "manifest"])
def test_a_registry_that_refuses_has_no_name_for_what_it_lacks(
    target: TestRegistry, puller: Puller, tmp_path: Path, kind: Literal["upload", "manifest"]
) -> None:
    layout = laid_out(tmp_path)
    target.faults.append(faults.status(403, kind=kind, method="PUT", times=None))
    words = ("copy", f"oci:{layout}:1", f"{target.host}/copy:1", "--plain-http", target.host, "-q")
    assert puller.run(*words).status == 1
    assert target.storage.manifest("copy", "1") is None
    target.faults.clear()
    assert puller.run(*words).status == 0
    assert whole(target, "copy", "1") == {one.digest for one in IMAGE.content()}


def laid_out(folder: Path) -> Path:
    """The image as a directory."""
    layout = folder / "layout"
    (layout / "blobs" / "sha256").mkdir(parents=True)
    for one in IMAGE.content():
        (layout / "blobs" / one.digest.replace(":", "/")).write_bytes(b"".join(one.body.chunks()))
    entry = made.descriptor(IMAGE, annotations={REF_NAME: "1"})
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return layout


def whole(registry: TestRegistry, repository: str, tag: str) -> set[str]:
    """The digests of all that a tag needs, each of them there."""
    found = registry.storage.manifest(repository, tag)
    assert found is not None
    document = json.loads(found[0].raw)
    needed = {one["digest"] for one in (document["config"], *document["layers"])}
    assert all(registry.storage.blob(repository, digest) is not None for digest in needed)
    return {IMAGE.digest} | needed


# --- to all other places ---


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
@pytest.mark.parametrize("there", ["oci", "oci-archive", "docker-archive", "store"])
def test_r5_a_copy_that_is_killed_leaves_no_name_and_no_archive(
    stand: Stand, images: Mapping[str, Image], there: Kind, share: float
) -> None:
    known = Known(images["medium"])
    stand.fill("registry", "source", known)
    before = {path.name for path in stand.folder.iterdir()}
    with relay(stand.registry.host, rate=RATE) as wire:
        words = stand.words(f"docker://{wire.host}/source:1", stand.ours(there, "copy"), "-q", host=wire.host)
        killed(stand, words, lambda: wire.delivered >= known.image.size * share)
    new = {path.name for path in stand.folder.iterdir()} - before
    if there.endswith("-archive"):
        assert new == set()
    else:
        folder = stand.puller.store if there == "store" else stand.folder / "copy.oci"
        index = folder / "index.json"
        assert not index.exists() or json.loads(index.read_text())["manifests"] == []
    stand.copy(stand.ours("registry", "source"), stand.ours(there, "copy"))
    stand.check(there, "copy", known, plain=there == "docker-archive")


def test_ctrl_c_leaves_no_archive(stand: Stand, images: Mapping[str, Image]) -> None:
    known = Known(images["medium"])
    stand.fill("registry", "source", known)
    before = {path.name for path in stand.folder.iterdir()}
    with relay(stand.registry.host, rate=RATE) as wire:
        words = stand.words(f"docker://{wire.host}/source:1", stand.ours("oci-archive", "copy"), "-q", host=wire.host)
        with stand.puller.start(*words) as process:
            while wire.delivered < known.image.size * 0.5 and process.poll() is None:
                time.sleep(0.002)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert {path.name for path in stand.folder.iterdir()} == before


def test_two_copies_to_one_archive_leave_one_of_them(stand: Stand, images: Mapping[str, Image]) -> None:
    known = Known(images["medium"])
    words = stand.words(known.word, stand.ours("oci-archive", "copy"), "-q")
    running = [stand.puller.start(*words) for _ in range(2)]
    ends: list[tuple[int, str]] = []
    for process in running:
        with process:
            _, errors = process.communicate()
            ends.append((process.returncode, errors))
    assert sorted(status for status, _ in ends) == [0, 2], ends
    assert "there already" in "".join(errors for _, errors in ends)
    stand.check("oci-archive", "copy", known, plain=False)
