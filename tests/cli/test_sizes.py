"""Sizes are compared before the first byte: what a host announces, with what the manifest has promised.

Hosts here announce a size and then send nothing at all: whoever waited for a byte would wait until the end of patience.
"""

import json
from pathlib import Path

import pytest

from testregistry import TestRegistry, faults, images
from testregistry.fault import Fault
from tests.cli.conftest import Puller
from tests.cli.picture import BASE, IMAGE, PLATFORM, TOP
from tests.cli.program import Ended
from tests.cli.serving import blob_host

pytestmark = pytest.mark.slow  # many small tests: for `make test`

DELTAS = (-1, 1, 1 << 40)


def announcing(digest: str, delta: int) -> list[Fault]:
    return [faults.wrong_length(digest, delta=delta, times=None), faults.stall(digest, after=0, times=None)]


def refused(puller: Puller, registry: TestRegistry, home: Path, digest: str) -> Ended:
    """A pull in vain, after which there is nothing of this blob, and no name."""
    end = puller("pull", "--no-unpack", "--report", str(home / "report.json"), registry.name("app:1"))
    assert end.code == 3
    (pulled,) = json.loads((home / "report.json").read_text())["pulls"]
    assert pulled["error"]["error"] == "SizeMismatch"
    assert pulled["error"]["digest"] == digest
    assert not (home / "store" / "blobs" / digest.replace(":", "/")).exists()
    part = home / "store" / "ingest" / digest.replace(":", "-")  # others that were under way may have theirs
    assert [path for path in part.rglob("*") if path.stat().st_size] == []
    assert puller("images").out.count(registry.host) == 0
    return end


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("part", [IMAGE, IMAGE.config, BASE], ids=["manifest", "config", "layer"])
def test_a_registry_that_announces_another_size_is_refused_with_nothing_written(
    puller: Puller, registry: TestRegistry, home: Path, part: images.Blob | images.Image, delta: int
) -> None:
    registry.add("app:1", images.index(IMAGE))
    for fault in announcing(part.digest, delta):
        registry.faults.append(fault)
    end = refused(puller, registry, home, part.digest)
    assert "holds content of another size" in end.err
    assert registry.journal.gets(part.digest) == 1


@pytest.mark.parametrize("delta", DELTAS)
def test_a_blob_host_that_announces_another_size_is_refused_with_nothing_written(
    puller: Puller, registry: TestRegistry, home: Path, delta: int
) -> None:
    registry.add("app:1", images.image(TOP, platform=PLATFORM))
    with blob_host(registry) as cdn:
        registry.faults.append(cdn.redirect(TOP.digest))
        for fault in announcing(TOP.digest, delta):
            cdn.faults.append(fault)
        refused(puller, registry, home, TOP.digest)
        (pulled,) = json.loads((home / "report.json").read_text())["pulls"]
        assert pulled["error"]["host"] == cdn.host


def test_a_manifest_that_promises_another_size_than_the_honest_blob_has_is_refused(
    puller: Puller, registry: TestRegistry, home: Path
) -> None:
    (honest,) = json.loads(images.image(TOP).raw)["layers"]
    layers = [honest | {"size": TOP.size + 1}]
    registry.add("app:1", images.image(TOP, platform=PLATFORM, manifest_extra={"layers": layers}))
    registry.faults.append(faults.stall(TOP.digest, after=0, times=None))
    refused(puller, registry, home, TOP.digest)


def test_the_size_that_head_claims_of_a_tag_has_to_be_that_of_the_manifest(
    puller: Puller, registry: TestRegistry, home: Path
) -> None:
    registry.add("app:1", IMAGE)
    registry.faults.append(faults.wrong_length(kind="manifest", method="HEAD", delta=7, times=None))
    registry.faults.append(faults.stall(IMAGE.digest, after=0, times=None))
    refused(puller, registry, home, IMAGE.digest)


def test_no_blob_is_asked_for_by_head_so_lies_there_do_not_matter(
    puller: Puller, registry: TestRegistry, home: Path
) -> None:
    registry.add("app:1", IMAGE)
    registry.faults.append(faults.wrong_length(kind="blob", method="HEAD", delta=7, times=None))
    assert puller("pull", "--no-unpack", registry.name("app:1")).code == 0
    assert registry.journal.count(kind="blob", method="HEAD") == 0


def test_a_host_that_announces_no_size_is_stopped_one_byte_too_late(
    puller: Puller, registry: TestRegistry, home: Path
) -> None:
    registry.add("app:1", images.image(TOP, platform=PLATFORM))
    registry.corrupt("app", TOP.digest, TOP.raw + bytes(5_000_000))
    registry.faults.append(faults.no_length(TOP.digest, times=None))
    refused(puller, registry, home, TOP.digest)
