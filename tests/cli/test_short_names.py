"""Names without a registry through the command line: whose they are, in every verb alike."""

import json
import tarfile
from pathlib import Path

import pytest

from testregistry import TestRegistry, images
from tests.cli.conftest import Puller
from tests.cli.machine import DEAD, Machine
from tests.cli.picture import IMAGE, PLATFORM, TOP
from tests.cli.serving import serving

pytestmark = pytest.mark.slow  # many small tests: for `make test`


@pytest.fixture
def machine(tmp_path: Path, puller: Puller) -> Machine:
    return Machine(tmp_path, puller)


@pytest.fixture
def registry(registry: TestRegistry) -> TestRegistry:
    """A registry that has the image."""
    registry.add("app:1", IMAGE)
    return registry


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
    assert f"not asked, as {DEAD} did not say that it has no such image: {registry.host}" in end.err
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


def test_a_repository_of_docker_hub_that_is_saved_whole_is_not_taken_for_what_its_short_name_means(
    machine: Machine, registry: TestRegistry, puller: Puller, tmp_path: Path
) -> None:
    registry.add("other:1", images.image(TOP, platform=PLATFORM))
    puller(registry.name("app:1"))
    puller("tag", registry.name("app:1"), "app:1")
    puller(registry.name("other:1"))
    machine.write("containers/registries.conf.d/1.conf", f'[aliases]\n"app" = "{registry.host}/other"\n')
    archive = tmp_path / "all.tar"
    assert puller("save", "docker.io/library/app", "-o", str(archive)).code == 0

    with tarfile.open(archive) as opened:
        listed = opened.extractfile("manifest.json")
        assert listed is not None
        (entry,) = json.load(listed)
    assert entry["RepoTags"] == ["app:1"]
    assert len(entry["Layers"]) == 2


def test_ids_are_still_ids(machine: Machine, registry: TestRegistry, puller: Puller) -> None:
    searched(machine, "a.example", "b.example")
    puller(registry.name("app:1"))

    assert puller("inspect", IMAGE.config.digest[7:17]).code == 0
