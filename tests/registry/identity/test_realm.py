"""Realms: which token servers are asked, and which of them may see credentials (THREATS B3)."""

import pytest

from puller.errors import ProtocolViolation, RegistryError, UnsafeRedirect
from puller.registry.identity.realm import is_kin, judge_realm
from puller.registry.transport.origin import Origin

PUBLIC = Origin("https", "registry.example.com", 443)
PLAIN = Origin("http", "registry.example.com", 80)
LOOPBACK = Origin("http", "127.0.0.1", 5000)
PRIVATE = Origin("https", "10.0.0.5", 5000)


@pytest.mark.parametrize(
    ("url", "registry"),
    [
        ("https://registry.example.com/token", PUBLIC),
        ("https://REGISTRY.example.com:8443/token?a=b", PUBLIC),
        ("https://example.com", PUBLIC),
        ("https://auth.docker.io/token", Origin("https", "registry-1.docker.io", 443)),
        ("https://gitlab.com/jwt/auth", Origin("https", "registry.gitlab.com", 443)),
        ("http://registry.example.com/token", PLAIN),
        ("https://example.com/token", PLAIN),
        ("http://127.0.0.1:5001/token", LOOPBACK),
        ("http://localhost:5001/token", LOOPBACK),
        ("http://[::1]:5001/token", LOOPBACK),
        ("https://10.0.0.5/token", PRIVATE),
        ("https://[fd00::1]/token", Origin("https", "fd00::1", 5000)),
        ("https://registry/token", Origin("https", "registry", 443)),
    ],
)
def test_a_realm_of_the_same_owner_is_trusted(url: str, registry: Origin) -> None:
    realm = judge_realm(url, registry)
    assert realm.trusted
    assert realm.url == url


@pytest.mark.parametrize(
    ("url", "registry"),
    [
        ("https://evil.com/token", PUBLIC),
        ("https://registry.example.com.evil.com/token", PUBLIC),
        ("https://8.8.8.8/token", PUBLIC),
        ("https://evil.github.io/token", Origin("https", "good.github.io", 443)),
        ("https://evil.com/token", LOOPBACK),
        ("http://evil.com/token", PLAIN),
    ],
)
def test_b3_a_realm_of_another_owner_is_asked_without_credentials(url: str, registry: Origin) -> None:
    realm = judge_realm(url, registry)
    assert not realm.trusted
    assert realm.public_only


@pytest.mark.parametrize(
    ("host", "registry"),
    [
        ("auth.docker.io", "registry-1.docker.io"),
        ("gitlab.com", "registry.gitlab.com"),
        ("quay.io", "quay.io"),
        ("ghcr.io", "ghcr.io"),
        ("gcr.io", "gcr.io"),
        ("eu.gcr.io", "eu.gcr.io"),
        ("x.azurecr.io", "x.azurecr.io"),
        ("public.ecr.aws", "public.ecr.aws"),
        ("1.dkr.ecr.us-east-1.amazonaws.com", "1.dkr.ecr.us-east-1.amazonaws.com"),
        ("gitlab.corp.example.co.uk", "registry.gitlab.corp.example.co.uk"),
        ("Example.COM", "registry.example.com"),
        ("8.8.8.8", "8.8.8.8"),
    ],
)
def test_a_zone_and_the_names_in_it_are_of_one_owner(host: str, registry: str) -> None:
    assert is_kin(host, registry)


@pytest.mark.parametrize(
    "suffix",
    [
        *["synology.me", "myds.me", "quickconnect.to", "eu.org", "uk.com", "blogspot.com", "tokyo.jp", "co.uk"],
        *["com.au", "gouv.fr", "github.io", "azurecr.io", "jfrog.io", "run.app", "docker.io", "example.com", "corp"],
    ],
)
def test_b3_siblings_are_strangers_below_any_domain(suffix: str) -> None:
    assert not is_kin(f"nas2.{suffix}", f"nas1.{suffix}")
    assert not judge_realm(f"https://nas2.{suffix}/token", Origin("https", f"nas1.{suffix}", 443)).trusted


@pytest.mark.parametrize(
    ("host", "registry"),
    [
        ("evil.github.io", "github.io"),  # below the registry, yet rented out
        ("ample.com", "registry.example.com"),
        ("evilexample.com", "example.com"),
        ("io", "docker.io"),
        ("auth.docker.io", "docker.io.evil.com"),
        ("registry-1.docker.io", "auth.docker.io"),
        ("8.8", "8.8.8.8"),
        ("8.8.4.4", "8.8.8.8"),
        ("auth", "registry"),
    ],
)
def test_b3_names_that_only_look_related_are_strangers(host: str, registry: str) -> None:
    assert not is_kin(host, registry)


def test_b1_over_plain_http_a_neighbour_in_the_domain_is_not_trusted() -> None:
    assert not judge_realm("http://example.com/token", PLAIN).trusted


def test_a_named_token_host_is_trusted_wherever_it_is() -> None:
    realm = judge_realm("https://10.1.2.3/token", PUBLIC, token_hosts=["10.1.2.3"])
    assert realm.trusted
    assert not realm.public_only
    assert judge_realm("https://auth.other.org/token", PUBLIC, token_hosts=["AUTH.other.org"]).trusted


def test_b3_naming_one_token_host_names_no_other() -> None:
    assert not judge_realm("https://evil.org/token", PUBLIC, token_hosts=["auth.other.org"]).trusted


def test_b3_a_host_that_the_registry_chose_must_have_a_public_address() -> None:
    assert judge_realm("https://auth.example.com/token", PUBLIC).public_only
    assert not judge_realm("https://registry.example.com:8443/token", PUBLIC).public_only


def test_the_origin_of_a_realm_has_the_port_of_its_scheme() -> None:
    assert judge_realm("https://auth.example.com/token", PUBLIC).origin == Origin("https", "auth.example.com", 443)
    assert judge_realm("http://localhost:81/", LOOPBACK).origin == Origin("http", "localhost", 81)


UNSAFE = {
    "http downgrade": "http://registry.example.com/token",
    "loopback": "https://127.0.0.1/token",
    "loopback v6": "https://[::1]/token",
    "mapped metadata": "https://[::ffff:169.254.169.254]/token",
    "mapped metadata in hex": "https://[::ffff:a9fe:a9fe]/token",
    "metadata": "https://169.254.169.254/latest/meta-data",
    "unspecified": "https://0.0.0.0/token",
    "decimal": "https://2130706433/token",
    "hex": "https://0x7f.1/token",
    "octal": "https://0177.0.0.1/token",
    "short": "https://127.1/token",
    "private": "https://192.168.0.1/token",
    "nat64": "https://[64:ff9b::7f00:1]/token",
    "localhost": "https://localhost/token",
    "localhost with dot": "https://localhost./token",
    "below localhost": "https://a.localhost/token",
    "trailing dot": "https://registry.example.com./token",
    "userinfo": "https://registry.example.com@evil.com/token",
    "userinfo with password": "https://registry.example.com:x@evil.com/token",
    "empty userinfo": "https://@registry.example.com/token",
    "file": "file:///etc/passwd",
    "gopher": "gopher://evil.com/_x",
    "javascript": "javascript:alert(1)",
    "percent in host": "https://registry.example.com%2eevil.com/token",
    "zone": "https://[fe80::1%25eth0]/token",
}

UNUSABLE = {
    "empty": "",
    "relative": "/token",
    "relative with host": "//evil.com/token",
    "bare host": "evil.com",
    "no host": "https:///token",
    "one slash": "https:/evil.com",
    "space": "https://registry.example.com/to ken",
    "leading space": " https://registry.example.com/",
    "line feed": "https://registry.example.com/\r\nX: y",
    "tab in the scheme": "ht\ttps://evil.com/",
    "backslash": "https://registry.example.com\\@evil.com/",
    "fragment": "https://registry.example.com/token#x",
    "not ASCII": "https://regístry.example.com/token",
    "port out of range": "https://registry.example.com:65536/",
    "port zero": "https://registry.example.com:0/",
    "no port number": "https://registry.example.com:x/",
    "broken brackets": "https://[::1/token",
    "too long": "https://registry.example.com/" + "a" * 3000,
}


@pytest.mark.parametrize("url", UNSAFE.values(), ids=UNSAFE.keys())
def test_b3_an_unsafe_realm_is_never_asked(url: str) -> None:
    with pytest.raises(UnsafeRedirect, match="must not be asked"):
        judge_realm(url, PUBLIC)


@pytest.mark.parametrize("url", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_b3_a_realm_that_is_no_absolute_url_is_refused(url: str) -> None:
    with pytest.raises(ProtocolViolation, match="absolute URL"):
        judge_realm(url, PUBLIC)


@pytest.mark.parametrize(
    ("url", "registry"),
    [
        ("https://10.0.0.6/token", PRIVATE),
        ("https://127.0.0.1/token", PRIVATE),
        ("http://10.0.0.6/token", LOOPBACK),
        ("http://169.254.169.254/token", LOOPBACK),
        ("http://0.0.0.0:5001/token", LOOPBACK),
        ("http://127.0.0.1:5001/token", Origin("https", "127.0.0.1", 5000)),
        ("https://127.1/token", LOOPBACK),
    ],
)
def test_b3_a_local_registry_may_not_point_at_other_local_addresses(url: str, registry: Origin) -> None:
    with pytest.raises(UnsafeRedirect):
        judge_realm(url, registry)


@pytest.mark.parametrize(
    "url", ["https://u:marker-secret@registry.example.com/?token=marker-secret", "gopher://a/marker-secret"]
)
def test_b15_a_refused_realm_is_not_shown_beyond_its_host(url: str) -> None:
    with pytest.raises(RegistryError) as caught:
        judge_realm(url, PUBLIC)
    assert "marker-secret" not in f"{caught.value} {caught.value!r} {caught.value.facts()}"
