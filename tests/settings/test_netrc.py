"""A .netrc: what is read of it, for whom, and what is refused."""

import os
from pathlib import Path

import pytest

from puller.contracts.access import Credential
from puller.errors import InvalidConfig
from puller.settings.netrc import Netrc

MARKER = "marker-secret"


def known(text: str, registry: str) -> Credential | None:
    identity = Netrc.parse(text.encode()).identity(registry)
    return None if identity is None else identity.known


# GNU inetutils, "The .netrc file", and ftp(1): the entries may lie on one line or on several.
DOCUMENTED = """\
# a comment
machine registry.example
    login ann
    password "with \\"quotes\\" and blanks"
machine other.example:5000 login bob account staff password #5

macdef init
machine evil.example login x password y
bin

machine REGISTRY2.example user carl password p\\ss # and a remark
default login anonymous password me@here
"""


@pytest.mark.parametrize(
    ("registry", "wanted"),
    [
        ("registry.example", Credential("ann", 'with "quotes" and blanks')),
        ("Registry.example", Credential("ann", 'with "quotes" and blanks')),
        ("other.example:5000", Credential("bob", "#5")),
        ("registry2.example", Credential("carl", "p\\ss")),
        ("evil.example", None),
    ],
)
def test_machines_are_read_as_documented(registry: str, wanted: Credential | None) -> None:
    assert known(DOCUMENTED, registry) == wanted


@pytest.mark.parametrize(
    ("machine", "registry"),
    [
        ("a.example", "a.example:5000"),
        ("a.example:5000", "a.example"),
        ("a.example:443", "a.example"),
        ("example", "a.example"),
        ("a.example", "b.a.example"),
        ("https://a.example", "a.example"),
        ("index.docker.io", "docker.io"),
    ],
)
def test_b11_a_machine_is_for_exactly_the_registry_of_its_name(machine: str, registry: str) -> None:
    assert known(f"machine {machine} login ann password x", registry) is None
    assert known(f"machine {machine} login ann password x", machine) is not None


def test_b11_the_default_is_for_nobody() -> None:
    assert known("default login ann password x", "a.example") is None


def test_a_machine_without_password_is_for_nobody() -> None:
    assert known("machine a.example login ann", "a.example") is None


@pytest.mark.parametrize(
    "text",
    [
        f"machine a.example login ann password {MARKER} {MARKER}",
        f"machine a.example password {MARKER}",
        f"machine a.example login us:er password {MARKER}",
        f'machine a.example login ann password "{MARKER}',
        f'machine a.example login ann password "{MARKER}"x',
        f"login ann password {MARKER}",
        f"machine a.example login {MARKER} password",
        "machine",
        f"machine a.example login ann password {MARKER}\nmachine a.example login ann password x",
        f'machine a.example login ann password "{MARKER}\x07"',
    ],
)
def test_b15_a_malformed_file_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(InvalidConfig, match=r"netrc") as caught:
        Netrc.parse(text.encode())
    assert MARKER not in f"{caught.value} {caught.value.facts()}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_what_is_no_utf_8_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="UTF-8"):
        Netrc.parse(b"machine a.example login ann password \xff")


def test_an_entry_that_stands_there_twice_is_one() -> None:
    entry = "machine a.example login ann password x\n"
    assert known(entry * 2, "a.example") == Credential("ann", "x")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o602])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine a.example login ann password x")
    file.chmod(mode)
    with pytest.raises(InvalidConfig, match=r"chmod 600"):
        Netrc.read(file)
    file.chmod(0o600)
    assert Netrc.read(file).identity("a.example") is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine a.example login ann password x")
    file.chmod(0o600)
    os.chown(file, 12345, 12345)
    with pytest.raises(InvalidConfig, match="others have access"):
        Netrc.read(file)


def test_a_file_that_is_not_there_is_an_error_for_it_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="no such file"):
        Netrc.read(tmp_path / "netrc")
