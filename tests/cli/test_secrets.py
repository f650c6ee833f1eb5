"""Secrets of a user's settings: they go where they belong, and nowhere else, least of all into what is printed."""

import base64
import json
from pathlib import Path

import pytest

from testregistry import Basic, Bearer, TestRegistry, faults
from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.fault import Fault
from tests.cli.conftest import Puller
from tests.cli.picture import BASE, IMAGE
from tests.cli.serving import blob_host, canary, serving

pytestmark = pytest.mark.slow  # many small tests: for `make test`

MARKER = "s3cret-Marker"
USERS = {"me": MARKER}


def settings(home: Path, host: str, *, password: str = MARKER) -> None:
    """Write docker's config.json as `docker login` does."""
    (home / ".docker").mkdir(exist_ok=True)
    auth = base64.b64encode(f"me:{password}".encode()).decode()
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def encoded(secret: str = MARKER) -> str:
    """The secret as it goes over the wire in Basic."""
    return base64.b64encode(f"me:{secret}".encode()).decode()


def is_anywhere(home: Path, *texts: str) -> bool:
    """Whether a secret stands in any of these texts, or in any file of the store."""
    held = [path.read_bytes() for path in (home / "store").rglob("*") if path.is_file()]
    whole = "\n".join(texts).encode() + b"".join(held)
    return any(secret.encode() in whole for secret in (MARKER, encoded()))


@pytest.mark.parametrize("auth", [Basic(USERS), Bearer(USERS, anonymous=set())], ids=["basic", "bearer"])
def test_credentials_of_dockers_settings_open_a_registry_that_was_named(
    puller: Puller, home: Path, auth: Basic | Bearer
) -> None:
    with serving(auth=auth) as registry:
        registry.add("app:1", IMAGE)
        settings(home, registry.host)
        end = puller(registry.name("app:1"), "--plain-http", registry.host)
        assert end.code == 0
        assert not is_anywhere(home, end.out, end.err)


def test_b1_credentials_do_not_go_over_plain_http_to_a_registry_nobody_named(puller: Puller, home: Path) -> None:
    with serving(auth=Basic(USERS)) as registry:
        registry.add("app:1", IMAGE)
        settings(home, registry.host)
        end = puller(registry.name("app:1"))
        assert end.code == 1
        assert "--plain-http" in end.err
        assert all("Authorization" not in request.headers for request in registry.journal)


FAILURES: dict[str, list[Fault]] = {
    "refused": [faults.status(401, headers={"WWW-Authenticate": f'Basic realm="{MARKER}"'}, times=None)],
    "forbidden": [faults.status(403, body=b"{}", times=None, kind="blob")],
    "gone": [faults.status(404, times=None, kind="blob")],
    "wrong bytes": [faults.flip(BASE.digest, at=-1, times=None)],
    "encoded": [faults.content_encoding(BASE.digest, "gzip", times=None)],
    "odd status": [faults.status(BASE.digest, 226, times=None)],
    "elsewhere": [faults.redirect(BASE.digest, f"http://me:{MARKER}@127.0.0.1:9/x?sig={MARKER}", times=None)],
    "signed and dead": [faults.redirect(BASE.digest, f"http://127.0.0.1:9/x?sig={MARKER}", times=None)],
    "no address": [faults.redirect(BASE.digest, f"file:///{MARKER}", times=None)],
    "token server fails": [faults.status(500, kind="token", body=MARKER.encode(), times=None)],
    "token of nonsense": [faults.body(None, b'{"token": "' + MARKER.encode() + b'\\n"}', kind="token", times=None)],
}


RETRIED = ("signed and dead", "token server fails")  # with the waits of a real user


@pytest.mark.parametrize(
    "failure", [pytest.param(name, marks=[pytest.mark.slow] * (name in RETRIED)) for name in FAILURES]
)
def test_b15_no_failure_shows_a_secret(
    puller: Puller, home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    caplog.set_level("DEBUG")
    report = tmp_path / "report.json"
    auth = Bearer(USERS, anonymous=set()) if "token" in failure else Basic(USERS)
    with serving(auth=auth, faults=FAILURES[failure]) as registry:
        registry.add("app:1", IMAGE)
        settings(home, registry.host)
        words = ("--plain-http", registry.host, "--report", str(report), "--debug", "--json")
        end = puller(registry.name("app:1"), *words)
        assert end.code in (1, 3)
        assert not is_anywhere(home, end.out, end.err, report.read_text(), caplog.text)


def test_b15_a_signed_address_is_shown_without_its_signature(
    puller: Puller, home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    signed = faults.redirect(BASE.digest, lambda _: f"{bird.url}/blob?sig={MARKER}", times=None)
    with canary() as bird, serving(faults=[signed]) as registry:
        bird.answer = Answer(200, (), BytesBody(bytes(BASE.size)))
        registry.add("app:1", IMAGE)
        end = puller(registry.name("app:1"), "--report", str(tmp_path / "r"))
        assert end.code == 3
        assert bird.saw(MARKER)  # it is part of the address, so it was sent
        assert bird.host in (tmp_path / "r").read_text()
        assert not is_anywhere(home, end.out, end.err, (tmp_path / "r").read_text(), caplog.text)


def test_b15_a_broken_settings_file_is_refused_without_being_quoted(puller: Puller, home: Path) -> None:
    settings(home, "registry.example")
    file = home / ".docker" / "config.json"
    file.write_text(file.read_text()[:-1])
    end = puller("registry.example/app:1")
    assert end.code == 2
    assert not is_anywhere(home, end.out, end.err)


def test_a_credential_store_is_left_alone_by_a_registry_that_asks_for_nothing(
    puller: Puller, home: Path, registry: TestRegistry
) -> None:
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text('{"credsStore": "not-there"}')
    registry.add("app:1", IMAGE)
    end = puller(registry.name("app:1"))
    assert (end.code, "not-there" in end.err) == (0, False)


def test_b11_a_credential_helper_of_a_name_that_is_none_is_refused_and_no_request_is_made(
    puller: Puller, home: Path, registry: TestRegistry
) -> None:
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(json.dumps({"credHelpers": {registry.host: "../\x1b[2J"}}))
    registry.add("app:1", IMAGE)
    end = puller(registry.name("app:1"))
    assert end.code == 2
    assert "credHelpers" in end.err
    assert "\x1b" not in end.err
    assert len(registry.journal) == 0


def test_b19_netrc_and_proxies_of_the_environment_are_left_alone(
    puller: Puller, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with canary() as bird, serving() as registry:
        (home / ".netrc").write_text(f"machine 127.0.0.1 login me password {MARKER}\ndefault login me password x\n")
        (home / ".netrc").chmod(0o600)
        monkeypatch.setenv("NETRC", str(home / ".netrc"))
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, bird.url)
        registry.add("app:1", IMAGE)
        assert puller(registry.name("app:1")).code == 0
        assert bird.requests == []
        assert all("Authorization" not in request.headers for request in registry.journal)
        assert len(registry.journal) > 0


def test_the_report_names_the_host_a_blob_came_from_and_no_more_of_the_address(puller: Puller, tmp_path: Path) -> None:
    with serving() as registry, blob_host(registry) as cdn:
        registry.add("app:1", IMAGE)
        registry.faults.append(cdn.redirect(BASE.digest))
        assert puller(registry.name("app:1"), "--report", str(tmp_path / "r")).code == 0
        (pulled,) = json.loads((tmp_path / "r").read_text())["pulls"]
        origins = {blob["digest"]: blob["origin"] for blob in pulled["blobs"]}
        assert (origins[BASE.digest]["host"], origins[BASE.digest]["redirect"]) == (registry.host, cdn.host)
        assert "sig=" not in (tmp_path / "r").read_text()
