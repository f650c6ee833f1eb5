"""Folders of certificates, by containers-certs.d(5) and Docker's documentation."""

import pytest

from puller.contracts.access import NO_TRUST, Trust
from puller.errors import InvalidConfig
from puller.settings.certsd import trust_of
from tests.settings.machine import Machine

HOST = "my-registry.com:5000"


def test_where_nothing_is_set_up_only_the_system_is_trusted(machine: Machine) -> None:
    assert trust_of(HOST, machine.places) == NO_TRUST


@pytest.mark.parametrize(
    "root",
    [
        "home/.config/containers",
        "home/.config/docker",
        "home/.docker",
        "etc/containers",
        "etc/docker",
    ],
)
def test_the_setup_of_the_manual_page_is_read_wherever_it_may_lie(machine: Machine, root: str) -> None:
    folder = machine.write(f"{root}/certs.d/{HOST}/ca.crt").parent
    machine.write(f"{root}/certs.d/{HOST}/client.cert")
    machine.write(f"{root}/certs.d/{HOST}/client.key")
    machine.write(f"{root}/certs.d/{HOST}/notes.txt")

    trust = Trust((folder / "ca.crt",), ((folder / "client.cert", folder / "client.key"),))
    assert trust_of(HOST, machine.places) == trust
    assert trust_of("my-registry.com", machine.places) == NO_TRUST


def test_the_first_folder_counts_alone(machine: Machine) -> None:
    machine.write(f"etc/docker/certs.d/{HOST}/ca.crt")
    machine.write(f"etc/containers/certs.d/{HOST}/other.crt")
    assert [path.name for path in trust_of(HOST, machine.places).authorities] == ["other.crt"]
    (machine.root / f"home/.config/containers/certs.d/{HOST}").mkdir(parents=True)

    assert trust_of(HOST, machine.places) == NO_TRUST


@pytest.mark.parametrize(("there", "wanted"), [("client.cert", "client.key"), ("client.key", "client.cert")])
def test_half_a_pair_is_an_error_that_names_the_other_half(machine: Machine, there: str, wanted: str) -> None:
    path = machine.write(f"etc/docker/certs.d/{HOST}/{there}")
    with pytest.raises(InvalidConfig) as caught:
        trust_of(HOST, machine.places)

    assert (caught.value.where, caught.value.wanted) == (path, wanted)


def test_a_file_in_place_of_a_folder_is_none(machine: Machine) -> None:
    machine.write(f"etc/docker/certs.d/{HOST}")

    assert trust_of(HOST, machine.places) == NO_TRUST
