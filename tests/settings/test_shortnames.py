"""Names without a registry, by containers-registries.conf(5), "Short-Name Aliasing"."""

import pytest

from puller.errors import InvalidConfig, InvalidReference
from puller.settings.shortnames import load_short_names
from tests.settings.machine import Machine

CONF = "etc/containers/registries.conf"
# registries.conf.d/000-shortnames.conf of containers/common, a part of it
SHORT = """
[aliases]
  # centos
  "centos" = "quay.io/centos/centos"
  # fedora
  "fedora" = "registry.fedoraproject.org/fedora"
  # docker
  "alpine" = "docker.io/library/alpine"
"""
DIGEST = "sha256:" + "0" * 64


def meanings(machine: Machine, text: str) -> list[str]:
    return list(map(str, load_short_names(machine.places).meanings(text)))


@pytest.mark.parametrize(
    "text", ["fedora", "team/app:1", f"app@{DIGEST}", "quay.io/app", "localhost/app", "h:5000/app"]
)
def test_where_nothing_is_set_up_a_name_means_what_it_does_for_docker(machine: Machine, text: str) -> None:
    (meaning,) = load_short_names(machine.places).meanings(text)

    assert meaning == type(meaning).parse(text)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("fedora", "registry.fedoraproject.org/fedora"),
        ("fedora:41", "registry.fedoraproject.org/fedora:41"),
        (f"centos:7@{DIGEST}", f"quay.io/centos/centos:7@{DIGEST}"),
        ("alpine", "docker.io/library/alpine"),
        ("docker.io/fedora", "docker.io/library/fedora"),
        ("team/fedora", "docker.io/team/fedora"),
    ],
)
def test_an_alias_stands_for_a_name_with_any_tag_or_digest(machine: Machine, text: str, meaning: str) -> None:
    machine.write("etc/containers/registries.conf.d/000-shortnames.conf", SHORT)

    assert meanings(machine, text) == [meaning]


def test_what_podman_wrote_down_comes_before_what_is_set_up(machine: Machine) -> None:
    machine.write("etc/containers/registries.conf.d/000-shortnames.conf", SHORT)
    machine.write("home/.cache/containers/short-name-aliases.conf", '[aliases]\n"fedora" = "quay.io/fedora/fedora"')

    assert meanings(machine, "fedora") == ["quay.io/fedora/fedora"]
    assert meanings(machine, "centos") == ["quay.io/centos/centos"]


def test_an_empty_alias_is_none(machine: Machine) -> None:
    machine.write("etc/containers/registries.conf.d/000-shortnames.conf", SHORT)
    machine.write("home/.config/containers/registries.conf.d/1.conf", '[aliases]\n"fedora" = ""')

    assert meanings(machine, "fedora") == ["docker.io/library/fedora"]


def test_registries_that_are_searched_are_meant_in_their_order(machine: Machine) -> None:
    machine.write(CONF, 'unqualified-search-registries = ["a.example", "docker.io", "b.example:5000"]')

    assert meanings(machine, "app:1") == ["a.example/app:1", "docker.io/library/app:1", "b.example:5000/app:1"]
    assert meanings(machine, "c.example/app") == ["c.example/app"]


def test_what_is_here_may_also_have_its_name_of_docker(machine: Machine) -> None:
    machine.write(CONF, 'unqualified-search-registries = ["a.example"]')
    names = load_short_names(machine.places)

    assert list(map(str, names.here("app"))) == ["a.example/app", "docker.io/library/app"]
    assert list(map(str, names.here("c.example/app"))) == ["c.example/app"]


@pytest.mark.parametrize("mode", ["permissive", "disabled"])
def test_several_are_tried_where_the_mode_lets_them(machine: Machine, mode: str) -> None:
    machine.write(CONF, f'unqualified-search-registries = ["a.example", "b.example"]\nshort-name-mode = "{mode}"')

    assert len(load_short_names(machine.places).to_ask("app")) == 2


def test_enforcing_refuses_several_and_lists_them(machine: Machine) -> None:
    machine.write(CONF, 'unqualified-search-registries = ["a.example", "b.example"]\nshort-name-mode = "enforcing"')
    names = load_short_names(machine.places)
    with pytest.raises(InvalidReference) as caught:
        names.to_ask("app:1")

    assert caught.value.wanted == "a.example/app:1 or b.example/app:1"
    assert len(names.to_ask("a.example/app:1")) == 1


def test_enforcing_takes_the_one_that_there_is(machine: Machine) -> None:
    machine.write(CONF, 'unqualified-search-registries = ["a.example"]\nshort-name-mode = "enforcing"')

    assert list(map(str, load_short_names(machine.places).to_ask("app"))) == ["a.example/app"]


@pytest.mark.parametrize("value", ["fedora", "quay.io/fedora:1", f"quay.io/fedora@{DIGEST}", "https://quay.io/fedora"])
def test_an_alias_of_what_is_no_repository_is_refused_when_it_is_used(machine: Machine, value: str) -> None:
    path = machine.write("etc/containers/registries.conf.d/1.conf", f'[aliases]\n"fedora" = "{value}"')
    assert meanings(machine, "centos") == ["docker.io/library/centos"]
    with pytest.raises(InvalidConfig) as caught:
        meanings(machine, "fedora")

    assert caught.value.where == f"{path}: aliases.fedora"
