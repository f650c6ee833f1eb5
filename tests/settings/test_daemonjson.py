"""daemon.json, in the shapes of dockerd's reference."""

import json

import pytest

from puller.errors import InvalidConfig
from puller.settings.daemonjson import DaemonJson, load_daemon
from puller.settings.site import Site
from tests.settings.machine import Machine

FILE = "etc/docker/daemon.json"
# reference of dockerd, "Daemon configuration file", a part of it
SET_UP = {
    "data-root": "/var/lib/docker",
    "debug": True,
    "insecure-registries": ["myregistry:5000", "10.1.0.0/16", "http://old.example:5000"],
    "log-opts": {"max-size": "10m"},
    "registry-mirrors": ["https://hub-mirror.corp.example.com:5000/", "http://10.0.0.5/hub"],
}


def test_where_nothing_is_set_up_nothing_is_said(machine: Machine) -> None:
    assert load_daemon(machine.places) == DaemonJson()


def test_mirrors_and_insecure_registries_are_read_and_all_else_passed_over(machine: Machine) -> None:
    machine.write(FILE, json.dumps(SET_UP))
    daemon = load_daemon(machine.places)

    assert daemon.mirrors == (
        Site("https", "hub-mirror.corp.example.com:5000"),
        Site("http", "10.0.0.5", "/hub/v2"),
    )
    assert daemon.insecure == {"myregistry:5000", "old.example:5000"}


@pytest.mark.parametrize(
    ("registry", "insecure"),
    [
        ("myregistry:5000", True),
        ("myregistry", False),
        ("myregistry:5001", False),
        ("10.1.2.3:5000", True),
        ("10.1.2.3", True),
        ("10.2.2.3", False),
        ("old.example:5000", True),
        ("registry.example", False),
        ("docker.io", False),
    ],
)
def test_an_insecure_registry_is_one_that_is_named_or_an_address_in_a_network(
    machine: Machine, registry: str, insecure: bool
) -> None:
    machine.write(FILE, json.dumps(SET_UP))

    assert load_daemon(machine.places).is_insecure(registry) == insecure


def test_a_network_may_be_of_ipv6(machine: Machine) -> None:
    machine.write(FILE, json.dumps({"insecure-registries": ["fd00::/8"]}))
    daemon = load_daemon(machine.places)

    assert daemon.is_insecure("[fd00::1]:5000")
    assert not daemon.is_insecure("[fe80::1]:5000")


def test_the_daemon_of_a_user_has_a_file_of_its_own(machine: Machine) -> None:
    machine.write(FILE, json.dumps(SET_UP))
    machine.write("home/.config/docker/daemon.json", "{}")

    assert load_daemon(machine.places) == DaemonJson()


def test_an_empty_file_says_nothing(machine: Machine) -> None:
    machine.write(FILE, "\n")

    assert load_daemon(machine.places) == DaemonJson()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("{", ""),
        ("[]", ""),
        ('{"registry-mirrors": "https://a.example"}', ": registry-mirrors"),
        ('{"registry-mirrors": [1]}', ": registry-mirrors"),
        ('{"registry-mirrors": ["ftp://a.example"]}', ": registry-mirrors"),
        ('{"registry-mirrors": ["https://me:s3cret@a.example"]}', ": registry-mirrors"),
        ('{"insecure-registries": ["a.example/path"]}', ": insecure-registries"),
        ('{"insecure-registries": {}}', ": insecure-registries"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_key(machine: Machine, text: str, key: str) -> None:
    path = machine.write(FILE, text)
    with pytest.raises(InvalidConfig) as caught:
        load_daemon(machine.places)

    assert str(caught.value.where) == f"{path}{key}"
    assert "s3cret" not in str(caught.value)
