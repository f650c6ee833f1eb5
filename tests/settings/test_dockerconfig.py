"""Credentials and docker's config.json: whose they are, and that no one else's are ever used."""

import base64
import json
import logging
from collections.abc import Mapping

import pytest

from puller.contracts.access import Credential, KnownIdentity
from puller.errors import InputError, InvalidConfig, Unsupported
from puller.settings.dockerconfig import DockerConfig

HUB_KEY = "https://index.docker.io/v1/"


def auth(username: str = "user", password: str = "pass") -> dict[str, object]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def config(auths: Mapping[str, object] | None = None, **more: object) -> DockerConfig:
    return DockerConfig.parse(json.dumps({"auths": auths or {}, **more}).encode())


def known(config: DockerConfig, registry: str) -> Credential | None:
    identity = config.identity(registry, "app")
    assert identity is None or isinstance(identity, KnownIdentity)
    return None if identity is None else identity.known


@pytest.mark.parametrize(
    "raw", [b"", b"  \n", b"{}", b'{"auths": {}}', b'{"auths": null}', b'{"HttpHeaders": {"A": "b"}}']
)
def test_a_config_without_auths_knows_nobody(raw: bytes) -> None:
    assert known(DockerConfig.parse(raw), "docker.io") is None


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        (HUB_KEY, "docker.io"),
        (HUB_KEY, "index.docker.io"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("https://index.docker.io/v2/", "docker.io"),
        ("https://docker.io", "docker.io"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("http://127.0.0.1:5000", "127.0.0.1:5000"),
        ("https://127.0.0.1:5000/v2/", "127.0.0.1:5000"),
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://ghcr.io/v1/", "ghcr.io"),
        ("ghcr.io/", "ghcr.io"),
        ("GHCR.io", "ghcr.io"),
        ("ghcr.io", "GHCR.io"),
        ("[::1]:5000", "[::1]:5000"),
        ("https://[::1]:5000/", "[::1]:5000"),
    ],
)
def test_a_key_serves_its_host_as_docker_writes_it(key: str, registry: str) -> None:
    assert known(config({key: auth()}), registry) == Credential("user", "pass")


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("docker.io", "ghcr.io"),
        (HUB_KEY, "registry-1.docker.io"),
        ("ghcr.io", "ghcr.io:443"),
        ("ghcr.io:443", "ghcr.io"),
        ("ghcr.io", "evil.ghcr.io"),
        ("evil.ghcr.io", "ghcr.io"),
        ("127.0.0.1:5000", "127.0.0.1:5001"),
        ("ghcr.io.evil.com", "ghcr.io"),
        ("https://evil.com/ghcr.io", "ghcr.io"),
        ("", "ghcr.io"),
        ("https://", "ghcr.io"),
        ("default", "ghcr.io"),
    ],
)
def test_b11_a_key_serves_no_other_host(key: str, registry: str) -> None:
    assert known(config({key: auth()}), registry) is None


def test_the_exact_key_comes_before_one_that_means_the_same_host() -> None:
    auths = {"https://ghcr.io": auth("old"), "ghcr.io": auth("new")}
    assert known(config(auths), "ghcr.io") == Credential("new", "pass")
    hub = {"https://index.docker.io/v1/access-token": auth("token"), HUB_KEY: auth("user"), "docker.io": auth("podman")}
    assert known(config(hub), "docker.io") == Credential("user", "pass")


def test_b11_different_secrets_for_one_host_are_an_error() -> None:
    ambiguous = config({"https://ghcr.io/a": auth("one"), "https://ghcr.io/b": auth("two")})
    with pytest.raises(InvalidConfig, match=r"several different credentials.*ghcr\.io"):
        known(ambiguous, "ghcr.io")


def test_the_same_secret_under_two_keys_is_one() -> None:
    assert known(config({"https://ghcr.io/a": auth(), "http://ghcr.io": auth()}), "ghcr.io") is not None


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        (auth("user", "with:colons:"), Credential("user", "with:colons:")),
        (auth("user", "pässwörd"), Credential("user", "pässwörd")),
        ({"auth": base64.b64encode(b"user:pass\0\0").decode()}, Credential("user", "pass")),
        ({"auth": "dXNlcjpw\nYXNz\n"}, Credential("user", "pass")),
        ({"username": "user", "password": "pass"}, Credential("user", "pass")),
        ({"username": "old", "password": "old", **auth()}, Credential("user", "pass")),
        ({"identitytoken": "abc"}, Credential("", "", "abc")),
        ({**auth("<token>", ""), "identitytoken": "abc"}, Credential("<token>", "", "abc")),
        ({**auth(), "email": "a@b.c"}, Credential("user", "pass")),
    ],
)
def test_an_entry_is_read_in_every_form_docker_writes(entry: object, wanted: Credential) -> None:
    assert known(config({"ghcr.io": entry}), "ghcr.io") == wanted


MALFORMED = {
    "no object": "marker-secret",
    "list": ["marker-secret"],
    "auth is a number": {"auth": 7},
    "no base64": {"auth": "marker-secret!"},
    "garbage inside base64": {"auth": "dXNl!cjpwYXNz"},
    "no padding": {"auth": "bWFya2VyLXNlY3JldA"},
    "no colon": {"auth": base64.b64encode(b"marker-secret").decode()},
    "no user": {"auth": base64.b64encode(b":marker-secret").decode()},
    "no UTF-8": {"auth": base64.b64encode(b"user:\xffmarker-secret").decode()},
    "password is a list": {"username": "user", "password": ["marker-secret"]},
    "colon in the user name": {"username": "us:er", "password": "marker-secret"},
    "line feed": {"auth": base64.b64encode(b"user:marker-secret\r\nX: y").decode()},
    "identity token with a line feed": {"identitytoken": "marker-secret\r\n"},
    "identity token beyond ASCII": {"identitytoken": "marker-secret-ä"},
}


@pytest.mark.parametrize("entry", MALFORMED.values(), ids=MALFORMED.keys())
def test_b11_a_malformed_entry_is_an_error_for_its_host(entry: object) -> None:
    with pytest.raises(InvalidConfig, match=r"ghcr\.io") as caught:
        known(config({"ghcr.io": entry, HUB_KEY: auth()}), "ghcr.io")
    assert "marker-secret" not in f"{caught.value} {caught.value!r} {caught.value.facts()}"


@pytest.mark.parametrize("entry", MALFORMED.values(), ids=MALFORMED.keys())
def test_b11_a_malformed_entry_does_not_concern_other_hosts(entry: object) -> None:
    broken = config({"ghcr.io": entry, HUB_KEY: auth()})
    assert known(broken, "docker.io") == Credential("user", "pass")
    assert known(broken, "quay.io") is None


@pytest.mark.parametrize("entry", [{"registrytoken": "marker-secret"}, {"username": "user"}, auth("user", "")])
def test_an_entry_that_cannot_be_used_is_said_and_not_passed_over(entry: object) -> None:
    with pytest.raises(Unsupported, match=r"ghcr\.io") as caught:
        known(config({"ghcr.io": entry}), "ghcr.io")
    assert "marker-secret" not in str(caught.value)


@pytest.mark.parametrize("empty", [{}, None, {"auth": ""}, {"email": "a@b.c"}])
def test_an_empty_entry_counts_as_none(empty: object) -> None:
    assert known(config({"ghcr.io": empty, "https://ghcr.io": auth()}), "ghcr.io") == Credential("user", "pass")
    assert known(config({"ghcr.io": empty}), "ghcr.io") is None


@pytest.mark.parametrize(
    "raw",
    [
        *[b"[]", b"null", b"{", b"\xff{}", b'{"auths": []}', b'{"credHelpers": "x"}', b'{"credsStore": 7}'],
        b'{"auths": {"marker-secret": {}, "marker-secret": {}}}',
        b'{"auths": {"ghcr.io": {"auth": "marker-secret"}}',
    ],
)
def test_b11_an_unreadable_file_is_an_error_that_does_not_quote_it(raw: bytes) -> None:
    with pytest.raises(InvalidConfig, match=r"config\.json") as caught:
        DockerConfig.parse(raw)
    assert "marker-secret" not in f"{caught.value} {caught.value.facts()}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("key", ["ghcr.io", "https://ghcr.io", "GHCR.io"])
def test_a_helper_for_exactly_this_host_is_an_error_that_names_it(key: str) -> None:
    with pytest.raises(Unsupported, match=r"ghcr\.io.*docker-credential-pass"):
        known(config(credHelpers={key: "pass"}), "ghcr.io")


def test_a_helper_for_another_host_changes_nothing() -> None:
    assert known(config(credHelpers={"gcr.io": "gcloud"}), "ghcr.io") is None
    assert known(config({"ghcr.io": auth()}, credHelpers={"gcr.io": "gcloud"}), "ghcr.io") is not None


def test_a_secret_in_auths_is_used_although_a_helper_is_named() -> None:
    assert known(config({"ghcr.io": auth()}, credHelpers={"ghcr.io": "pass"}), "ghcr.io") is not None


@pytest.mark.parametrize("helper", [7, ["pass"], {"a": "b"}, None])
def test_b11_a_malformed_helper_is_an_error_for_its_host_only(helper: object) -> None:
    broken = config({HUB_KEY: auth()}, credHelpers={"ghcr.io": helper})
    with pytest.raises(InvalidConfig, match=r"ghcr\.io"):
        known(broken, "ghcr.io")
    assert known(broken, "quay.io") is None


def test_a_store_for_all_hosts_is_only_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    stored = config({"ghcr.io": {}}, credsStore="desk\x1btop")
    with caplog.at_level(logging.WARNING):
        assert known(stored, "ghcr.io") is None
    assert r"desk\x1btop" in caplog.text
    assert "ghcr.io" in caplog.text


def test_no_warning_where_the_store_is_not_needed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert known(config({"ghcr.io": auth()}, credsStore="desktop"), "ghcr.io") is not None
    assert not caplog.records


def test_the_basic_value_is_that_of_rfc_7617() -> None:
    assert Credential("Aladdin", "open sesame").basic == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert Credential("test", "123£").basic == "Basic dGVzdDoxMjPCow=="


@pytest.mark.parametrize(
    ("username", "password", "identity_token"),
    [("a:b", "x", ""), ("a\n", "x", ""), ("a", "x\0", ""), ("a", "\x7f", ""), ("", "", "a b\n"), ("", "", "ä")],
)
def test_a_credential_that_cannot_be_sent_is_refused(username: str, password: str, identity_token: str) -> None:
    with pytest.raises(InputError):
        Credential(username, password, identity_token)


def test_b15_nothing_here_shows_a_secret() -> None:
    credential = Credential("marker-secret-user", "marker-secret", "marker-secret-token")
    known = config({"ghcr.io": auth("user", "marker-secret")})
    assert "marker-secret" not in f"{credential!r} {credential} {known!r} {known}"


def test_b19_neither_netrc_nor_environment_adds_a_credential(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine ghcr.io login user password marker-secret\n")
    (home / ".netrc").chmod(0o600)
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {"ghcr.io": auth()}}))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    monkeypatch.setenv("DOCKER_CONFIG", str(home / ".docker"))
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {"ghcr.io": auth()}}))
    assert known(DockerConfig.parse(b"{}"), "ghcr.io") is None
