"""Stories of mirrors and short names through the command line; each mirror is a test registry on this machine."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from testregistry import Basic, TestRegistry, faults
from tests.cli.conftest import Puller
from tests.cli.picture import BASE, IMAGE, TOP
from tests.cli.program import Ended
from tests.cli.serving import canary, serving

pytestmark = pytest.mark.slow  # many small tests: for `make test`

DEAD = "127.0.0.1:1"  # nothing listens there


class Machine:
    """Settings below PULLER_SETTINGS_ROOT, and pulls with their reports."""

    def __init__(self, tmp_path: Path, puller: Puller) -> None:
        self.etc = tmp_path / "root" / "etc"
        self._report = tmp_path / "report.json"
        self._puller = puller

    def write(self, name: str, text: str) -> Path:
        path = self.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def mirrored(self, registry: str, *mirrors: str, more: str = "") -> None:
        """A registries.conf in which `registry` has these mirrors; `more` is of each."""
        tables = "".join(f'[[registry.mirror]]\nlocation = "{mirror}"\n{more}\n' for mirror in mirrors)
        self.write("containers/registries.conf", f'[[registry]]\nlocation = "{registry}"\n{tables}')

    def pull(self, *words: str) -> tuple[Ended, list[dict[str, Any]]]:
        """How it ended, and the report's blobs."""
        end = self._puller("pull", "--report", str(self._report), *words)
        report = json.loads(self._report.read_text()) if self._report.exists() else {"pulls": [{"blobs": []}]}
        return end, report["pulls"][0]["blobs"]

    def error(self) -> dict[str, Any]:
        """That of the last report."""
        error: dict[str, Any] = json.loads(self._report.read_text())["pulls"][0]["error"]
        return error


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


# Short names ----------------------------------------------------------------------------------------------------------


def searched(machine: Machine, *hosts: str, mode: str = "permissive") -> None:
    listed = ", ".join(f'"{host}"' for host in hosts)
    text = f'unqualified-search-registries = [{listed}]\nshort-name-mode = "{mode}"\n'
    machine.write("containers/registries.conf", text)


def test_what_was_pulled_by_a_short_name_is_found_by_it_in_every_verb(
    machine: Machine, registry: TestRegistry, puller: Puller, tmp_path: Path
) -> None:
    machine.write("containers/registries.conf.d/1.conf", f'[aliases]\n"fedora" = "{registry.host}/app"\n')
    full = registry.name("app:1")
    assert puller("fedora:1").out.startswith(f"pulled {full} ")
    assert puller("digest", "fedora:1").out.strip() == IMAGE.digest
    assert puller("tags", "fedora").out.split() == ["1"]
    assert json.loads(puller("inspect", "fedora:1").out)["name"] == full
    assert puller("history", "fedora:1").code == 0
    assert puller("verify", "fedora:1").code == 0
    assert puller("unpack", "fedora:1", str(tmp_path / "tree")).code == 0
    assert puller("export", "fedora:1", "-o", str(tmp_path / "tree.tar")).code == 0
    assert puller("save", "fedora", "-o", str(tmp_path / "all.tar")).code == 0
    assert puller("tag", "fedora:1", "fedora:2").out.startswith(registry.name("app:2"))
    assert puller("push", "fedora:2").code == 0
    assert puller("rm", "fedora:2").code == 0
    assert puller("rm", "fedora:1").out.startswith(f"removed {full}")
    assert puller("inspect", "fedora:1").code == 1


def test_verbs_that_need_a_tree_pull_by_short_names(
    machine: Machine, registry: TestRegistry, puller: Puller, tmp_path: Path
) -> None:
    with serving() as empty:
        searched(machine, empty.host, registry.host)
        end = puller("unpack", "app:1", str(tmp_path / "tree"))

    assert end.code == 0
    assert registry.name("app:1") in puller("images").out


def test_the_one_registry_that_is_searched_is_taken(machine: Machine, registry: TestRegistry, puller: Puller) -> None:
    searched(machine, registry.host, mode="enforcing")

    assert puller("app:1").out.startswith(f"pulled {registry.name('app:1')} ")


def test_several_are_tried_in_their_order_where_the_first_says_that_it_has_none(
    machine: Machine, registry: TestRegistry, puller: Puller
) -> None:
    with serving() as empty:
        searched(machine, empty.host, registry.host)
        assert puller("app:1").out.startswith(f"pulled {registry.name('app:1')} ")
        assert puller("digest", "app:1").out.strip() == IMAGE.digest
        assert puller("tags", "app").out.split() == ["1"]
        assert json.loads(puller("inspect", "app:1").out)["name"] == registry.name("app:1")
        end = puller("nothing:1")
        assert end.code == 1
        assert f"{empty.host}/nothing:1: " in end.err


def test_a_registry_that_cannot_be_asked_does_not_let_the_next_one_choose(
    machine: Machine, registry: TestRegistry
) -> None:
    searched(machine, DEAD, registry.host)
    end, _ = machine.pull("app:1")

    assert end.code == 1
    assert machine.error()["host"] == DEAD
    assert registry.journal.requests == []


def test_enforcing_refuses_what_could_be_several_and_lists_them(
    machine: Machine, registry: TestRegistry, puller: Puller
) -> None:
    searched(machine, "a.example", registry.host, mode="enforcing")
    end = puller("app:1")

    assert end.code == 2
    assert f"a.example/app:1 or {registry.name('app:1')}" in end.err
    assert puller(registry.name("app:1")).code == 0


def test_a_new_name_has_to_be_one(machine: Machine, registry: TestRegistry, puller: Puller) -> None:
    searched(machine, "a.example", "b.example")
    puller(registry.name("app:1"))
    end = puller("tag", registry.name("app:1"), "mine:1")

    assert end.code == 2
    assert "a.example/mine:1 or b.example/mine:1" in end.err
    assert puller("push", registry.name("app:1"), "mine:1").code == 2


def test_an_image_that_had_its_name_before_anything_was_set_up_keeps_it(
    machine: Machine, registry: TestRegistry, puller: Puller
) -> None:
    puller(registry.name("app:1"))
    puller("tag", registry.name("app:1"), "app:1")
    searched(machine, "a.example")

    assert json.loads(puller("inspect", "app:1").out)["name"] == "docker.io/library/app:1"


def test_ids_are_still_ids(machine: Machine, registry: TestRegistry, puller: Puller) -> None:
    searched(machine, "a.example", "b.example")
    puller(registry.name("app:1"))

    assert puller("inspect", IMAGE.config.digest[7:17]).code == 0
