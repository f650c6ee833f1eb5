"""What a configuration says of registries: how they are spoken to, and as whom; never a secret where it can be seen."""

import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest

from puller.contracts.access import Credential, Endpoint, KnownIdentity, Protection, Trust
from puller.errors import InvalidConfig
from puller.mirror.config import Host, Login, Pointer
from puller.mirror.hosts import MAX_SECRET, HostKeyring, HostRoutes
from puller.model.reference import Reference

MARKER = "marker-password"
APP = Reference.parse("r.test:5000/team/app")
OTHER = Reference.parse("other.test/app")
USER = Pointer("text", "ann")


@dataclass(frozen=True)
class Routed:
    """A mirror before every registry."""

    protection: Protection = Protection.USUAL

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        return Endpoint("mirror.test", reference.repository, self.protection, is_mirror=True), self.home(reference)

    def home(self, reference: Reference) -> Endpoint:
        return Endpoint(reference.registry, reference.repository, self.protection, proxy="http://proxy.test")


class Somebody:
    def identity(self, registry: str, repository: str) -> KnownIdentity:
        return KnownIdentity("the machine's", Credential("root", "x"))


def no_folder(folder: Path) -> Trust | None:
    raise AssertionError(f"{folder} is not asked for")


def routes(host: Host, trust: Trust | None = None, *, name: str = "r.test:5000") -> HostRoutes:
    return HostRoutes(Routed(), {name: host}, (lambda folder: trust) if host.certificates else no_folder)


@pytest.mark.parametrize(
    ("host", "protection"),
    [
        (Host(), Protection.USUAL),
        (Host(plain_http=True), Protection.PLAIN),
        (Host(insecure=True), Protection.ANY),
        (Host(plain_http=True, insecure=True), Protection.PLAIN),
    ],
)
def test_a_registry_is_spoken_to_as_the_configuration_says_and_all_else_stays(
    host: Host, protection: Protection
) -> None:
    mirror, home = routes(host).endpoints(APP)
    assert home == Endpoint("r.test:5000", "team/app", protection, proxy="http://proxy.test")
    assert home == routes(host).home(APP)
    assert mirror.protection is Protection.USUAL
    assert routes(host).home(OTHER).protection is Protection.USUAL


def test_a_mirror_that_is_named_is_spoken_to_as_said() -> None:
    mirror, home = routes(Host(plain_http=True), name="mirror.test").endpoints(APP)
    assert (mirror.protection, home.protection) == (Protection.PLAIN, Protection.USUAL)


def test_certificates_are_those_of_the_folder_and_make_a_host_of_this_machine_speak_tls() -> None:
    trust = Trust((Path("/certs/ca.crt"),))
    home = routes(Host(certificates="/certs"), trust).home(APP)
    assert (home.trust, home.protection) == (trust, Protection.TLS)
    assert routes(Host(certificates="/certs"), Trust()).home(APP).protection is Protection.USUAL
    assert routes(Host(certificates="/certs", insecure=True), trust).home(APP).protection is Protection.ANY


def test_a_folder_of_certificates_that_is_not_there_is_found_at_once() -> None:
    with pytest.raises(InvalidConfig, match="no folder of certificates") as caught:
        HostRoutes(Routed(), {"r.test": Host(certificates="/none")}, lambda folder: None)
    assert "r.test: cert-dir" in str(caught.value)
    assert "/none" in str(caught.value)


class Files:
    """Files in memory."""

    def __init__(self, **files: bytes) -> None:
        self.files = {f"/{name}": raw for name, raw in files.items()}
        self.read: list[str] = []

    def __call__(self, path: Path, limit: int) -> bytes:
        self.read.append(str(path))
        if str(path) not in self.files:
            raise FileNotFoundError(2, "No such file or directory")
        return self.files[str(path)][: limit + 1]


def keyring(login: Login, files: Files | None = None, **environment: str) -> HostKeyring:
    return HostKeyring(Somebody(), {"r.test:5000": Host(login=login)}, environment, files or Files())


async def credential(ring: HostKeyring, registry: str = "r.test:5000") -> Credential | None:
    identity = ring.identity(registry, "team/app")
    assert identity is not None
    return await identity.credential()


async def test_a_login_is_looked_up_in_variables_and_files_without_white_space() -> None:
    login = Login(Pointer("env", "WHO"), Pointer("file", "/token"))
    assert await credential(keyring(login, Files(token=b" s3 cret\n"), WHO="ann")) == Credential("ann", "s3 cret")
    login = Login(USER, Pointer("env", "SECRET"))
    assert await credential(keyring(login, SECRET=" as it is ")) == Credential("ann", " as it is ")


async def test_other_registries_are_asked_for_in_the_keyring_of_the_machine() -> None:
    ring = keyring(Login(USER, Pointer("env", "SECRET")), SECRET=MARKER)
    assert await credential(ring, "other.test") == Credential("root", "x")
    assert await credential(ring, "r.test") == Credential("root", "x"), "another port is another registry"
    alone = HostKeyring(None, {}, {}, Files())
    assert alone.identity("other.test", "app") is None


@pytest.mark.parametrize(
    ("login", "files", "told"),
    [
        (Login(USER, Pointer("env", "NONE")), Files(), "$NONE"),
        (Login(USER, Pointer("env", "EMPTY")), Files(), "EMPTY"),
        (Login(USER, Pointer("file", "/none")), Files(), "/none"),
        (Login(USER, Pointer("file", "/blank")), Files(blank=b" \n"), "/blank"),
        (Login(USER, Pointer("file", "/large")), Files(large=b"x" * (MAX_SECRET + 1)), "too large"),
        (Login(USER, Pointer("file", "/bytes")), Files(bytes=MARKER.encode() + b"\xff"), "UTF-8"),
        (Login(USER, Pointer("env", "LINES")), Files(), "control characters"),
        (Login(Pointer("env", "COLON"), Pointer("env", "LINES")), Files(), "colon"),
    ],
)
def test_what_cannot_be_used_is_found_at_once_and_named_without_the_secret(
    login: Login, files: Files, told: str
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        keyring(login, files, EMPTY="", LINES=f"{MARKER}\nx", COLON=f"{MARKER}:x")
    text = str(caught.value) + repr(caught.value.facts()) + "".join(traceback.format_exception(caught.value))
    assert told in str(caught.value)
    assert "r.test:5000" in str(caught.value)
    assert "marker" not in text


async def test_no_secret_shows_in_what_is_printed() -> None:
    ring = keyring(Login(USER, Pointer("env", "SECRET")), SECRET=MARKER)
    identity = ring.identity("r.test:5000", "app")
    assert identity is not None
    known = await identity.credential()
    shown = " ".join(map(repr, (ring, identity, identity.name, known, vars(ring)["_identities"])))
    assert "marker" not in shown
    assert identity.name == "login of r.test:5000 in the configuration"


async def test_a_file_whose_secret_was_changed_is_read_again_when_the_old_one_is_refused() -> None:
    files = Files(token=b"old")
    identity = keyring(Login(USER, Pointer("file", "/token")), files).identity("r.test:5000", "app")
    assert identity is not None
    old = await identity.credential()
    assert old is not None
    assert await identity.renewed(old) is None, "nothing else is there"
    files.files["/token"] = b"new"
    new = await identity.renewed(old)
    assert new == Credential("ann", "new") == await identity.credential()
    reads = len(files.read)
    assert await identity.renewed(old) == new, "somebody else has had it read already"
    assert len(files.read) == reads
