"""Stories of mirrors through the command line; each mirror is a test registry on this machine."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from testregistry import Basic, TestRegistry, faults
from tests.cli.conftest import Puller
from tests.cli.machine import DEAD, Machine
from tests.cli.picture import BASE, IMAGE, TOP
from tests.cli.serving import canary, serving

pytestmark = pytest.mark.slow  # many small tests: for `make test`


@pytest.fixture
def machine(tmp_path: Path, puller: Puller) -> Machine:
    return Machine(tmp_path, puller)


@pytest.fixture
def mirror() -> Iterator[TestRegistry]:
    """A mirror that has the image."""
    with serving() as registry:
        registry.add("app:1", IMAGE)
        yield registry


@pytest.fixture
def registry(registry: TestRegistry) -> TestRegistry:
    """A registry that has the image."""
    registry.add("app:1", IMAGE)
    return registry


def served(blobs: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Which host served each blob, by digest."""
    return {blob["digest"]: blob["origin"]["host"] for blob in blobs}


def passed(blobs: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
    """Who was passed over for any of them, and why."""
    return {(one["host"], one["reason"]) for blob in blobs for one in blob["origin"]["passed"]}


def test_an_image_comes_from_its_mirror_under_its_own_name(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry, puller: Puller
) -> None:
    machine.mirrored(registry.host, mirror.host)
    end, blobs = machine.pull(registry.name("app:1"))

    assert end.code == 0
    assert set(served(blobs).values()) == {mirror.host}
    assert passed(blobs) == set()
    assert registry.journal.requests == []
    assert registry.name("app:1") in puller("images").out


def test_without_mirrors_it_comes_from_the_registry(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry
) -> None:
    machine.mirrored(registry.host, mirror.host)
    end, blobs = machine.pull("--no-mirrors", registry.name("app:1"))

    assert end.code == 0
    assert set(served(blobs).values()) == {registry.host}
    assert mirror.journal.requests == []


def test_a_mirror_that_lies_is_found_out_and_the_registry_makes_good(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry
) -> None:
    machine.mirrored(registry.host, mirror.host)
    mirror.faults.append(faults.flip(BASE.digest, at=10, times=None))
    end, blobs = machine.pull(registry.name("app:1"))

    assert end.code == 0
    assert served(blobs)[BASE.digest] == registry.host
    assert served(blobs)[IMAGE.digest] == mirror.host
    assert (mirror.host, "served wrong bytes") in passed(blobs)
    line = f"passed over {mirror.host} for blob {BASE.digest[7:19]}: served wrong bytes; asking {registry.host}"
    assert end.err.count(line) == 1


def test_a_mirror_that_lies_about_everything_fails_no_pull_of_a_digest(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry
) -> None:
    machine.mirrored(registry.host, mirror.host)
    mirror.faults.append(faults.flip(kind="manifest", at=10, times=None))
    mirror.faults.append(faults.flip(kind="blob", at=10, times=None))
    end, blobs = machine.pull(f"{registry.name('app')}@{IMAGE.digest}")

    assert end.code == 0
    assert set(served(blobs).values()) == {registry.host}
    assert f"passed over {mirror.host} for manifest {IMAGE.digest[7:19]}" in end.err
    assert f"asking {registry.host}" in end.err


def test_where_all_lie_the_pull_fails_and_nothing_is_kept(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry
) -> None:
    machine.mirrored(registry.host, mirror.host)
    for host in (mirror, registry):
        host.faults.append(faults.flip(BASE.digest, at=10, times=None))
    end, _ = machine.pull(registry.name("app:1"))

    assert end.code == 3
    assert machine.error()["error"] == "DigestMismatch"


def test_a_mirror_that_is_dead_is_passed_over_once_and_then_left_alone(
    machine: Machine, registry: TestRegistry
) -> None:
    machine.mirrored(registry.host, DEAD)
    end, blobs = machine.pull(registry.name("app:1"))

    assert end.code == 0
    assert set(served(blobs).values()) == {registry.host}
    assert end.err.count(f"passed over {DEAD}") == 1
    assert passed(blobs) == {(DEAD, "distrusted: cannot connect")}


def test_a_mirror_that_does_not_have_the_image_is_no_news(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry
) -> None:
    registry.add("other:1", IMAGE)
    machine.mirrored(registry.host, mirror.host)
    end, blobs = machine.pull(registry.name("other:1"))

    assert end.code == 0
    assert set(served(blobs).values()) == {registry.host}
    assert "passed over" not in end.err
    assert {host for host, _ in passed(blobs)} == {mirror.host}


def test_a_mirror_that_fails_for_blobs_only_serves_what_it_can(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry
) -> None:
    machine.mirrored(registry.host, mirror.host)
    mirror.faults.append(faults.status(None, 500, kind="blob", times=None))
    end, blobs = machine.pull(registry.name("app:1"))

    assert end.code == 0
    hosts = served(blobs)
    assert hosts.pop(IMAGE.digest) == mirror.host
    assert set(hosts.values()) == {registry.host}
    assert f"passed over {mirror.host} for blob" in end.err


def test_a_mirror_for_digests_does_not_say_what_a_tag_names(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry
) -> None:
    machine.mirrored(registry.host, mirror.host, more='pull-from-mirror = "digest-only"')
    end, blobs = machine.pull(registry.name("app:1"))

    assert end.code == 0
    assert [request.method for request in registry.journal.requests] == ["HEAD"]
    assert set(served(blobs).values()) == {mirror.host}


def test_a_mirror_that_stops_in_the_middle_is_left_there_and_its_bytes_are_kept(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry
) -> None:
    machine.mirrored(registry.host, mirror.host)
    mirror.faults.append(faults.cut(BASE.digest, after=100))
    mirror.faults.append(faults.drop(BASE.digest, skip=1, times=None))
    end, blobs = machine.pull(registry.name("app:1"))

    assert end.code == 0
    assert served(blobs)[BASE.digest] == registry.host
    assert "bytes=100-" in registry.journal.ranges(BASE.digest)
    (blob,) = (blob for blob in blobs if blob["digest"] == BASE.digest)
    assert blob["origin"]["resumed_at"][-1] == 100


def test_a_mirror_that_hangs_half_way_costs_seconds_not_minutes(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry
) -> None:
    machine.mirrored(registry.host, mirror.host)
    mirror.faults.append(faults.stall(TOP.digest, after=50, times=None))
    end, blobs = machine.pull(registry.name("app:1"))

    assert end.code == 0
    assert served(blobs)[TOP.digest] == registry.host
    (blob,) = (blob for blob in blobs if blob["digest"] == TOP.digest)
    assert 8 < blob["seconds"] < 30
    assert any(host == mirror.host for host, _ in passed(blobs))


def test_where_nobody_can_be_had_each_host_is_named_with_its_reason(machine: Machine, mirror: TestRegistry) -> None:
    machine.mirrored(f"{DEAD}/none", mirror.host)
    mirror.faults.append(faults.status(None, 404, times=None))
    end, _ = machine.pull(f"{DEAD}/none/app:1")

    assert end.code == 1
    assert machine.error()["host"] == DEAD
    assert [note.partition(": ")[0] for note in machine.error()["notes"]] == [mirror.host]
    assert f"{mirror.host}: " in end.err


def test_b11_a_mirror_sees_no_login_but_its_own(machine: Machine, registry: TestRegistry, home: Path) -> None:
    registry.auth = Basic({"ann": "marker-secret"})
    auths = {registry.host: {"username": "ann", "password": "marker-secret"}}
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": auths}))
    with canary() as listening:
        machine.mirrored(registry.host, listening.host)
        end, _ = machine.pull("--plain-http", registry.host, "--plain-http", listening.host, registry.name("app:1"))

        assert end.code == 0
        assert listening.requests != []
        assert not listening.saw("marker-secret")
        assert "authorization" not in listening.header_names()


def test_containerds_hosts_are_asked_in_their_order_and_told_whom_they_stand_for(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry
) -> None:
    name = registry.host.replace(":", "_") + "_"
    machine.write(
        f"containerd/certs.d/{name}/hosts.toml",
        f'server = "http://{registry.host}"\n[host."http://{DEAD}"]\n'
        f'[host."http://{mirror.host}"]\ncapabilities = ["pull"]\n'
        f'[host."http://{mirror.host}".header]\nX-Mirror = "yes"\n',
    )
    end, blobs = machine.pull(registry.name("app:1"))

    assert end.code == 0
    assert set(served(blobs).values()) == {mirror.host}
    assert {request.headers.get("X-Mirror") for request in mirror.journal.requests} == {"yes"}
    assert all("ns=" in request.query for request in mirror.journal.requests)
    assert [request.method for request in registry.journal.requests] == ["HEAD"]


def test_docker_hub_comes_from_the_mirrors_of_daemon_json(machine: Machine, mirror: TestRegistry) -> None:
    mirror.add("library/app:1", IMAGE)
    machine.write("docker/daemon.json", json.dumps({"registry-mirrors": [f"http://{mirror.host}"]}))
    end, blobs = machine.pull("app:1")

    assert end.code == 0
    assert set(served(blobs).values()) == {mirror.host}
    assert "docker.io/library/app:1" in end.out


def test_a_name_may_lie_elsewhere(machine: Machine, registry: TestRegistry) -> None:
    registry.add("bar/image:1", IMAGE)
    machine.write(
        "containers/registries.conf",
        f'[[registry]]\nprefix = "example.com/foo"\nlocation = "{registry.host}/bar"\n',
    )
    end, _ = machine.pull("example.com/foo/image:1")

    assert end.code == 0
    assert "pulled example.com/foo/image:1" in end.out


def test_what_is_blocked_is_not_asked_and_that_is_said_with_the_file(
    machine: Machine, registry: TestRegistry, puller: Puller
) -> None:
    path = machine.write("containers/registries.conf", f'[[registry]]\nlocation = "{registry.host}"\nblocked = true\n')
    for words in (["pull"], ["pull", "--no-mirrors"], ["digest"]):
        end = puller(*words, registry.name("app:1"))
        assert end.code == 2
        assert "the registry is blocked" in end.err
        assert f"{path}: blocked" in end.err

    assert puller("tags", registry.name("app")).code == 2
    assert registry.journal.requests == []


def test_a_malformed_file_is_an_error_that_names_it(machine: Machine, registry: TestRegistry, puller: Puller) -> None:
    path = machine.write("containers/registries.conf", '[[registry]]\nlocation = "https://x.example"\n')
    end = puller("pull", registry.name("app:1"))

    assert end.code == 2
    assert f"{path}: registry[0].location" in end.err


def test_push_goes_to_the_registry_itself(
    machine: Machine, mirror: TestRegistry, registry: TestRegistry, puller: Puller
) -> None:
    machine.mirrored(registry.host, mirror.host)
    machine.pull(registry.name("app:1"))
    mirror.journal.clear()
    end = puller("push", registry.name("app:1"), registry.name("app:2"))

    assert end.code == 0
    assert registry.journal.count(method="PUT") > 0
    assert mirror.journal.requests == []
