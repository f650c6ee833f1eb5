"""`puller pull --foreign-layers`: what is said without it, and what comes from where with it."""

import json
from pathlib import Path

import pytest

from testregistry import TestRegistry, images
from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.canary import Canary
from testregistry.documents import OCI_MANIFEST
from tests.cli.conftest import Puller
from tests.cli.picture import BASE, PLATFORM, TOP
from tests.cli.serving import canary

pytestmark = pytest.mark.slow  # many small tests: for `make test`

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def add(registry: TestRegistry, host: Canary) -> None:
    """An image whose base layer the registry has not got, while `host` has."""
    url = f"{host.url}/base.tar.gz?sig=marker-signature"
    raw = json.loads(images.image(BASE, TOP, platform=PLATFORM).raw)
    raw["layers"][0] |= {"mediaType": FOREIGN, "urls": [url]}
    whole = images.image(BASE, TOP, platform=PLATFORM)
    registry.add_blob("app", whole.config.raw)
    registry.add_blob("app", TOP.raw)
    registry.add_manifest("app", images.document(raw), OCI_MANIFEST, "1")
    host.answer = Answer(200, (), BytesBody(BASE.raw))


def test_b2_without_the_option_the_host_is_named_and_not_asked(puller: Puller, registry: TestRegistry) -> None:
    with canary() as host:
        add(registry, host)
        end = puller("pull", registry.name("app:1"))
        assert end.code == 1
        assert "foreign layer" in end.err
        assert f"says that it lies at {host.host}." in end.err
        assert "puller pull --foreign-layers" in end.err
        assert "marker" not in end.err
        assert host.requests == []


def test_b2_with_it_the_layer_comes_from_there_and_is_verified_unpacked_and_told(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    with canary() as host:
        add(registry, host)
        end = puller("pull", "--foreign-layers", "--report", str(report), registry.name("app:1"))
        assert end.code == 0
        assert f"passed over {registry.host} for blob {BASE.digest[7:19]}: " in end.err
        assert f"asking {host.host}" in end.err
        assert host.header_names() == {"host", "user-agent", "accept", "accept-encoding"}
    (pulled,) = json.loads(report.read_text())["pulls"]
    (layer,) = [blob for blob in pulled["blobs"] if blob["digest"] == BASE.digest]
    assert layer["origin"]["host"] == host.host
    assert [one["host"] for one in layer["origin"]["passed"]] == [registry.host]
    assert {check["name"] for check in layer["checks"] if check["passed"]} == {"size", "digest", "diff_id", "tarsum"}
    assert "marker" not in end.err + end.out + report.read_text()
    assert puller("verify", "--all").code == 0


def test_n3_wrong_bytes_from_there_are_refused(puller: Puller, registry: TestRegistry) -> None:
    with canary() as host:
        add(registry, host)
        host.answer = Answer(200, (), BytesBody(bytes(BASE.size)))
        end = puller("pull", "--foreign-layers", registry.name("app:1"))
        assert end.code == 3
        assert f"{host.host} served other bytes" in end.err


def test_a_foreign_layer_that_is_in_another_place_needs_nobody(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    with canary() as host:
        add(registry, host)
        other = ("--store", str(tmp_path / "other"))
        assert puller("pull", "--no-unpack", "--foreign-layers", *other, registry.name("app:1")).code == 0
        host.journal.clear()
        assert puller("pull", "--from-store", str(tmp_path / "other"), registry.name("app:1")).code == 0
        assert host.requests == []
