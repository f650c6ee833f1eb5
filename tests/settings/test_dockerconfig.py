"""Credentials and docker's config.json: whose they are, and that no one else's are ever used."""

import base64
import json
from collections.abc import Mapping

import pytest

from puller.contracts.access import Credential, KnownIdentity
from puller.errors import InputError, InvalidConfig, Unsupported
from puller.settings.dockerconfig import DockerConfig, Helped

HUB_KEY = "https://index.docker.io/v1/"


def auth(username: str = "user", password: str = "pass") -> dict[str, object]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def config(auths: Mapping[str, object] | None = None, **more: object) -> DockerConfig:
    return DockerConfig.parse(json.dumps({"auths": auths or {}, **more}).encode())


def known(config: DockerConfig, registry: str, repository: str = "team/app") -> Credential | None:
    """The secret that the file itself has."""
    accounts = config.accounts(registry, repository)
    return next((account.known for account in accounts if isinstance(account, KnownIdentity)), None)


def helped(config: DockerConfig, registry: str) -> list[Helped]:
    """The helpers that are to be asked, in order."""
    return [account for account in config.accounts(registry, "team/app") if isinstance(account, Helped)]


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
        ({"registrytoken": "abc"}, Credential("", "", "", "abc")),
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


@pytest.mark.parametrize("entry", [{"username": "marker-secret"}, auth("marker-secret", "")])
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
def test_a_helper_of_a_host_is_asked_by_the_name_it_stands_under(key: str) -> None:
    assert helped(config(credHelpers={key: "pass"}), "ghcr.io") == [Helped("pass", key)]


def test_a_helper_of_a_host_is_asked_and_nothing_else() -> None:
    both = config({"ghcr.io": auth(), "ghcr.io/team": auth()}, credHelpers={"ghcr.io": "pass"}, credsStore="desktop")
    assert both.accounts("ghcr.io", "team/app") == [Helped("pass", "ghcr.io")]


def test_an_empty_helper_means_the_file_itself_even_where_there_is_a_store_for_all() -> None:
    """docker/cli, configfile.GetCredentialsStore: an empty name is the file store."""
    plain = config({"ghcr.io": auth()}, credHelpers={"ghcr.io": ""}, credsStore="desktop")
    assert helped(plain, "ghcr.io") == []
    assert known(plain, "ghcr.io") == Credential("user", "pass")


def test_a_helper_for_another_host_changes_nothing() -> None:
    assert config(credHelpers={"gcr.io": "gcloud"}).accounts("ghcr.io", "app") == []
    assert known(config({"ghcr.io": auth()}, credHelpers={"gcr.io": "gcloud"}), "ghcr.io") is not None


@pytest.mark.parametrize(
    ("key", "server"), [(HUB_KEY, HUB_KEY), ("docker.io", "docker.io"), ("index.docker.io", "index.docker.io")]
)
def test_a_helper_of_docker_hub_is_asked_as_docker_and_podman_do(key: str, server: str) -> None:
    assert helped(config(credHelpers={key: "pass"}), "docker.io") == [Helped("pass", server)]


@pytest.mark.parametrize(("registry", "server"), [("docker.io", HUB_KEY), ("ghcr.io", "ghcr.io"), ("a:5000", "a:5000")])
def test_the_store_for_all_hosts_is_asked_by_the_names_docker_gives_it(registry: str, server: str) -> None:
    assert helped(config(credsStore="desktop"), registry) == [Helped("desktop", server)]


def test_the_store_for_all_hosts_comes_before_a_secret_that_was_left_in_the_file() -> None:
    accounts = config({"ghcr.io": auth()}, credsStore="desktop").accounts("ghcr.io", "app")
    assert accounts[0] == Helped("desktop", "ghcr.io")
    assert known(config({"ghcr.io": auth()}, credsStore="desktop"), "ghcr.io") == Credential("user", "pass")


@pytest.mark.parametrize(
    "helper", [7, ["pass"], "../pass", "/bin/sh", "a b", "-x", ".hidden", "desk\x1btop", "a\n", "x" * 101, "ä"]
)
@pytest.mark.parametrize("where", ["credHelpers", "credsStore"])
def test_b11_a_malformed_helper_is_an_error_for_whom_it_concerns(helper: object, where: str) -> None:
    if where == "credHelpers":
        broken = config({"quay.io": auth()}, credHelpers={"ghcr.io": helper})
        assert known(broken, "quay.io") == Credential("user", "pass")
    elif isinstance(helper, str):
        broken = config(credsStore=helper)
    else:
        with pytest.raises(InvalidConfig, match="credsStore"):
            config(credsStore=helper)
        return
    with pytest.raises(InvalidConfig, match=where):
        broken.accounts("ghcr.io", "app")


PREFIXES = {"ghcr.io/team/app": auth("app"), "ghcr.io/team": auth("team"), "ghcr.io": auth("all")}


@pytest.mark.parametrize(
    ("repository", "user"),
    [
        ("team/app", "app"),
        ("team/app/debug", "app"),
        ("team/application", "team"),
        ("team", "team"),
        ("teams/app", "all"),
        ("other", "all"),
    ],
)
def test_the_smallest_part_of_a_registry_that_has_an_account_counts(repository: str, user: str) -> None:
    """containers-auth.json(5): looked for from the whole name upwards, at slashes only."""
    assert known(config(PREFIXES), "ghcr.io", repository) == Credential(user, "pass")


def test_an_account_of_a_part_is_not_for_the_rest_of_its_registry() -> None:
    assert known(config({"ghcr.io/team": auth()}), "ghcr.io", "other/app") is None
    assert known(config({"ghcr.io/team": auth()}), "quay.io", "team/app") is None


def test_a_part_of_docker_hub_is_named_as_references_name_it() -> None:
    hub = config({"docker.io/team": auth("team"), HUB_KEY: auth("all")})
    assert known(hub, "docker.io", "team/app") == Credential("team", "pass")
    assert known(hub, "docker.io", "library/alpine") == Credential("all", "pass")


def test_an_account_of_a_part_comes_before_the_store_for_all_hosts() -> None:
    """Its key is nothing that docker has written, and the store knows whole registries only."""
    assert helped(config({"ghcr.io/team": auth()}, credsStore="desktop"), "ghcr.io") == []


def test_accounts_of_different_keys_have_different_names() -> None:
    names = [
        account.name
        for repository in ("team/app", "team", "other")
        for account in config(PREFIXES).accounts("ghcr.io", repository)
        if isinstance(account, KnownIdentity)
    ]
    assert len(set(names)) == 3


def test_a_dockercfg_is_all_auths() -> None:
    """The form before config.json, with URLs for keys (containers/image, readJSONFile: legacyFormat)."""
    raw = json.dumps({HUB_KEY: {**auth("hub"), "email": "a@b.c"}, "ghcr.io/v1/": auth("ghcr"), "auths": auth("x")})
    old = DockerConfig.parse(raw.encode(), file=".dockercfg", legacy=True)
    assert known(old, "docker.io") == Credential("hub", "pass")
    assert known(old, "ghcr.io") == Credential("ghcr", "pass")


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
