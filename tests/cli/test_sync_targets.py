"""`puller sync` and targets that fail: registries that refuse, lose or send elsewhere, and disks that are full."""

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testregistry import faults, images
from testregistry.auth import Basic
from testregistry.fault import Fault
from testregistry.journal import Request
from tests.cli.conftest import Puller
from tests.cli.mirrored import SHARED, Mirrored, image, mirrored
from tests.cli.serving import canary, serving
from tests.cli.test_full_disk import fill, free

pytestmark = pytest.mark.slow  # many small tests: for `make test`

WIDE: dict[str, Any] = {"enabled": True, "max": "100%", "keep": 0}
LARGE = images.image(images.layer({"large": random.Random(6).randbytes(5 << 20)}))


@pytest.fixture
def world(puller: Puller, tmp_path: Path) -> Iterator[Mirrored]:
    """`app` and `web` in step at another registry; `old` would be pruned, and there is something new in `app`."""
    with mirrored(puller, tmp_path, "registry") as made:
        for repository in ("app", "web"):
            made.up.add(f"{repository}:1", image(f"{repository} 1"))
            made.up.add(f"{repository}:old", image(f"{repository} 0"))
        made.write("app", "web", prune=WIDE)
        assert made.sync().code == 0
        for repository in ("app", "web"):
            made.up.storage.untag(repository, "old")
        made.up.add("app:1", image("app 1, moved"))
        made.up.add("app:2", image("app 2"))
        yield made


def failed(world: Mirrored) -> dict[str, str]:
    """The kinds of what failed in the last run, by tag."""
    return {item["tag"]: item["error"]["error"] for item in world.report()["items"] if item["error"]}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.status(500, kind="upload", times=None), "Unavailable"),
        (faults.status(413, kind="upload", times=None), "ProtocolViolation"),
        (faults.status(507, kind="upload", times=None), "Unavailable"),
        (faults.status(403, kind="upload", times=None), "Unauthorized"),
        (faults.status(413, kind="manifest", method="PUT", times=None), "ProtocolViolation"),
        (faults.status(507, kind="manifest", method="PUT", times=None), "Unavailable"),
        (faults.status(429, kind="manifest", method="PUT", headers={"Retry-After": "60"}, times=None), "RateLimited"),
    ],
    ids=["upload-500", "upload-413", "upload-507", "upload-403", "manifest-413", "manifest-507", "manifest-429"],
)
def test_h3_r13_a_target_that_takes_nothing_keeps_what_it_has(
    world: Mirrored, fault: Fault, kind: str, home: Path
) -> None:
    world.down.faults.append(fault)
    end = world.sync("--max-wait", "1s")
    assert end.code == 1
    assert failed(world) == {"1": kind, "2": kind}
    assert world.there("app") == {"1": image("app 1").digest, "old": image("app 0").digest}
    assert world.actions("app")["old"] == "kept"
    assert world.actions("web").get("1") in ("unchanged", "failed")
    world.down.faults.clear()
    for path in (home / ".local/state/puller/hosts").glob("*"):
        path.unlink()  # what was said of the pause
    end = world.sync()
    assert end.code == 0, end.err
    assert world.there("app") == {"1": image("app 1, moved").digest, "2": image("app 2").digest}


@pytest.mark.parametrize("kind", ["blob", "manifest"])
def test_h3_r13_a_target_that_cannot_be_asked_keeps_what_it_has(world: Mirrored, kind: Any) -> None:
    world.down.faults.append(faults.status(500, kind=kind, method="HEAD", times=None))
    end = world.sync()
    assert end.code == 1
    assert set(failed(world).values()) == {"Unavailable"}
    assert world.there("app") == {"1": image("app 1").digest, "old": image("app 0").digest}


def test_what_a_target_loses_in_mid_run_is_brought_again_before_the_tag(world: Mirrored) -> None:
    lost: list[Request] = []

    def lose(request: Request) -> None:
        """After the first manifest of the run the layer of all is gone."""
        if (request.method, request.kind) == ("PUT", "manifest") and not lost:
            lost.append(request)
            world.down.storage.drop_blob("copy/app", SHARED.digest)

    world.down.on_answer.append(lose)
    end = world.sync()
    assert end.code == 0, end.err
    assert lost
    assert any(request.status in (400, 404) for request in world.down.journal.find("PUT", kind="manifest"))
    assert world.down.storage.blob("copy/app", SHARED.digest) is not None
    assert world.there("app") == {"1": image("app 1, moved").digest, "2": image("app 2").digest}


def test_a_target_that_never_has_what_it_was_given_gets_no_tag(world: Mirrored) -> None:
    missing = json.dumps({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown"}]}).encode()
    world.down.faults.append(faults.status(404, kind="manifest", method="PUT", body=missing, times=None))
    end = world.sync()
    assert end.code == 1
    assert set(failed(world).values()) == {"ContentUnknown"}
    assert world.there("app") == {"1": image("app 1").digest, "old": image("app 0").digest}
    assert world.down.journal.count("PUT", kind="manifest") <= 6


def test_a_target_that_lost_everything_gets_it_again(world: Mirrored) -> None:
    assert world.sync().code == 0
    for tag, digest in world.there("app").items():
        world.down.storage.untag("copy/app", tag)
        world.down.storage.drop_manifest("copy/app", digest)
    for one in (SHARED, image("app 2").config, image("app 2").layers[1]):
        world.down.storage.drop_blob("copy/app", one.digest)
    end = world.sync()
    assert end.code == 0, end.err
    assert set(world.there("app")) == {"1", "2"}
    assert world.actions("app") == {"1": "new", "2": "new"}
    assert "gone from the target" in end.out + json.dumps(world.report())


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_b10_no_other_host_gets_blob_or_password_of_a_target(
    puller: Puller, tmp_path: Path, home: Path, method: str
) -> None:
    with serving() as up, serving(auth=Basic({"ann": "my-secret"})) as down, canary() as elsewhere:
        world = Mirrored(puller, up, down, tmp_path, "registry")
        (home / ".docker").mkdir()
        account = base64.b64encode(b"ann:my-secret").decode()
        (home / ".docker/config.json").write_text(json.dumps({"auths": {down.host: {"auth": account}}}), "utf-8")
        up.add("app:1", LARGE)  # too large for one request
        up.add("app:old", image("app 0"))
        world.write("app", prune=WIDE)
        up.storage.untag("app", "1")
        assert world.sync("--plain-http", down.host).code == 0
        up.storage.untag("app", "old")
        up.tag("app:1", LARGE.digest)
        url = f"{elsewhere.url}/v2/copy/app/blobs/uploads/1?_state=s"
        down.faults.append(
            faults.headers(kind="upload", method=method, remove=["Location"], add={"Location": url}, times=None)
        )
        end = world.sync("--plain-http", down.host)
        assert end.code == 1
        assert failed(world) == {"1": "UnsafeRedirect"}
        assert elsewhere.requests == []
        assert any("Authorization" in request.headers for request in down.journal)
        assert set(world.there("app")) == {"old"}
        told = json.dumps(world.report()) + end.err + end.out
        assert "_state" not in told
        assert "my-secret" not in told


# A full disk ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def directory(puller: Puller, tmp_path: Path, disk: Path) -> Iterator[Mirrored]:
    """`app` in step in a directory on the small disk; `old` would be pruned."""
    with mirrored(puller, disk, "oci") as made:
        made.up.add("app:1", image("app 1"))
        made.up.add("app:old", image("app 0"))
        made.write("app", prune=WIDE)
        assert made.sync("--state", str(tmp_path / "state")).code == 0
        made.up.storage.untag("app", "old")
        yield made


def test_r11_r13_on_a_full_disk_all_that_was_there_stays_and_the_report_says_why(
    directory: Mirrored, disk: Path, tmp_path: Path, puller: Puller
) -> None:
    directory.up.add("app:2", LARGE)
    directory.up.add("app:1", image("app 1, moved"))
    report = tmp_path / "report.json"
    words = "sync", str(directory.file), "--state", str(tmp_path / "state"), "--report", str(report)
    fill(disk)
    end = puller(*words)
    assert end.code == 1
    items = {item["tag"]: item for item in json.loads(report.read_text())["items"]}
    assert {tag: item["error"]["error"] for tag, item in items.items() if item["error"]} == {
        "1": "NoSpace",
        "2": "NoSpace",
    }
    assert items["old"]["action"] == "kept"
    assert directory.there("app") == {"1": image("app 1").digest, "old": image("app 0").digest}
    (disk / "filler").unlink()
    end = puller(*words)
    assert end.code == 0, end.err
    assert directory.there("app") == {"1": image("app 1, moved").digest, "2": LARGE.digest}
    assert free(disk) > 30 << 20


def test_r11_r13_a_state_on_a_full_disk_brings_no_harm_and_the_next_run_goes_on(
    puller: Puller, tmp_path: Path, disk: Path
) -> None:
    with mirrored(puller, tmp_path, "oci") as made:
        made.up.add("app:1", image("app 1"))
        made.up.add("app:old", image("app 0"))
        made.write("app", prune=WIDE)
        state = "--state", str(disk / "state")
        assert made.sync(*state).code == 0
        made.up.storage.untag("app", "old")
        made.up.add("app:2", image("app 2"))
        fill(disk)
        end = made.sync(*state)
        assert end.code == 1
        assert "[NoSpace]" in end.err
        assert "old" in made.there("app")
        (disk / "filler").unlink()
        end = made.sync(*state)
        assert end.code == 0, end.err
        assert made.there("app") == {"1": image("app 1").digest, "2": image("app 2").digest}
        assert made.report()["warnings"] == []


def test_r11_a_report_on_a_full_disk_leaves_the_one_before_it(puller: Puller, tmp_path: Path, disk: Path) -> None:
    with mirrored(puller, tmp_path, "oci") as made:
        made.up.add("app:1", image("app 1"))
        made.write("app", prune=WIDE)
        words = "sync", str(made.file), "--report", str(disk / "report.json")
        assert puller(*words).code == 0
        before = (disk / "report.json").read_bytes()
        fill(disk)
        end = puller(*words)
        assert end.code == 2
        assert "the report cannot be written" in end.err
        assert "No space left" in end.err
    assert (disk / "report.json").read_bytes() == before
    assert sorted(path.name for path in disk.iterdir()) == ["filler", "report.json"]
