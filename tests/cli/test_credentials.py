"""Accounts as people have set them up: helpers, files of podman and docker, netrc, each used where it belongs."""

import base64
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testregistry import Basic, Bearer, TestRegistry
from testregistry.auth import Auth, Scope
from tests.cli.conftest import Puller
from tests.cli.picture import IMAGE
from tests.cli.program import ended, started
from tests.cli.serving import serving
from tests.settings.programs import Shelf, answering, gone, written

pytestmark = pytest.mark.slow  # many small tests: for `make test`

MARKER = "s3cret-Marker"
USERS = {"me": MARKER}


@pytest.fixture
def locked() -> Iterator[TestRegistry]:
    """A registry that nobody reads without an account, with images of two teams."""
    with serving(auth=Bearer(USERS | {"red": MARKER, "blue": MARKER}, anonymous=set())) as registry:
        for name in ("app:1", "red/app:1", "blue/app:1"):
            registry.add(name, IMAGE)
        yield registry


def entry(user: str = "me") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{MARKER}".encode()).decode()}


def put(path: Path, **document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def docker(home: Path, **document: object) -> Path:
    return put(home / ".docker" / "config.json", **document)


def pull(puller: Puller, registry: TestRegistry, *names: str, words: tuple[str, ...] = ()) -> int:
    """The exit code of a pull; no secret has come out of it."""
    end = puller(*map(registry.name, names or ("app:1",)), "--plain-http", registry.host, *words)
    assert MARKER not in end.out + end.err
    return end.code


@pytest.mark.parametrize("auth", [Basic(USERS), Bearer(USERS, anonymous=set())], ids=["basic", "bearer"])
@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_pull_asks_the_helper_once_however_many_images_and_layers_there_are(
    puller: Puller, home: Path, shelf: Shelf, auth: Auth, key: str
) -> None:
    shelf.add("fake", answering("me", MARKER))
    with serving(auth=auth) as registry:
        for name in ("app:1", "app:2", "other:1"):
            registry.add(name, IMAGE)
        docker(home, **{key: "fake" if key == "credsStore" else {registry.host: "fake", "quay.io": "other"}})
        assert pull(puller, registry, "app:1", "app:2", "other:1") == 0
        assert shelf.asked("fake") == [f"get {registry.host}"]


def test_an_identity_token_of_a_helper_is_exchanged(puller: Puller, home: Path, shelf: Shelf) -> None:
    auth = Bearer(USERS, anonymous=set())
    with serving(auth=auth) as registry:
        registry.add("app:1", IMAGE)
        shelf.add("fake", answering("<token>", auth.issue_identity("me")))
        docker(home, credsStore="fake")
        assert pull(puller, registry) == 0
        assert {request.method for request in registry.journal.find(kind="token")} == {"POST"}


def test_a_secret_that_was_changed_while_it_was_cached_is_asked_for_once_more(
    puller: Puller, home: Path, shelf: Shelf, locked: TestRegistry, tmp_path: Path
) -> None:
    first, then = answering("me", "outdated"), answering("me", MARKER)
    shelf.add("fake", f"if [ -e '{tmp_path}/asked' ]; then {then}; else {first}; touch '{tmp_path}/asked'; fi")
    docker(home, credsStore="fake")
    assert pull(puller, locked) == 0
    assert shelf.asked("fake") == [f"get {locked.host}"] * 2


def test_a_secret_that_is_wrong_for_good_is_asked_for_twice_and_no_more(
    puller: Puller, home: Path, shelf: Shelf, locked: TestRegistry
) -> None:
    shelf.add("fake", answering("me", "wrong"))
    docker(home, credsStore="fake")
    assert pull(puller, locked) == 1
    assert shelf.asked("fake") == [f"get {locked.host}"] * 2


BROKEN = {
    "fails": f"echo {MARKER}; echo {MARKER} >&2; exit 1",
    "says what is no JSON": f"echo {MARKER}",
    "says ten megabytes": "head -c 10000000 /dev/zero",
    "has another host's secret": answering("me", MARKER, ', "ServerURL": "https://evil.example"'),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_b11_with_a_broken_helper_nothing_is_pulled_and_no_other_secret_sent(
    puller: Puller, home: Path, shelf: Shelf, tmp_path: Path, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    shelf.add("broken", body)
    with serving(auth=Bearer(USERS)) as registry:  # which would let anybody in
        registry.add("app:1", IMAGE)
        others = {"https://index.docker.io/v1/": entry(), "quay.io": entry(), registry.host: entry()}
        docker(home, credHelpers={registry.host: "broken"}, auths=others)
        end = puller(registry.name("app:1"), "--plain-http", registry.host, "--report", str(tmp_path / "r"), "--debug")
        assert end.code == 2
        assert "docker-credential-broken" in end.err
        assert "[HelperFailed]" in end.err
        assert registry.host in end.err
        assert MARKER not in end.out + end.err + caplog.text + (tmp_path / "r").read_text()
        assert all("Authorization" not in request.headers for request in registry.journal)
        assert registry.journal.count(kind="token") == 0


def test_b11_a_broken_helper_is_no_obstacle_for_other_registries(
    puller: Puller, home: Path, shelf: Shelf, locked: TestRegistry
) -> None:
    docker(home, credHelpers={"quay.io": "not-there"}, auths={locked.host: entry()})
    assert pull(puller, locked) == 0


def test_accounts_of_podman_by_parts_of_a_registry_are_each_used_for_their_own(
    puller: Puller, home: Path, locked: TestRegistry
) -> None:
    auths = {f"{locked.host}/red": entry("red"), f"{locked.host}/blue": entry("blue"), locked.host: entry()}
    put(home / ".config" / "containers" / "auth.json", auths=auths)
    assert pull(puller, locked, "red/app:1", "blue/app:1", "app:1") == 0
    assert isinstance(locked.auth, Bearer)
    owners = {(scope.name, token.user) for token in locked.auth.issued for scope in token.scopes}
    assert owners == {("red/app", "red"), ("blue/app", "blue"), ("app", "me")}


PLACES: dict[str, Callable[[Path, Path], Path]] = {
    "podman's of this session": lambda home, tmp: tmp / "run" / "containers" / "auth.json",
    "podman's": lambda home, tmp: home / ".config" / "containers" / "auth.json",
    "docker's": lambda home, tmp: home / ".docker" / "config.json",
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_each_file_is_found_in_its_place(
    puller: Puller, home: Path, tmp_path: Path, locked: TestRegistry, place: Callable[[Path, Path], Path]
) -> None:
    put(place(home, tmp_path), auths={locked.host: entry()})
    assert pull(puller, locked) == 0


def test_dockers_first_file_is_found_as_well(puller: Puller, home: Path, locked: TestRegistry) -> None:
    put(home / ".dockercfg", **{f"https://{locked.host}/v1/": entry()})
    assert pull(puller, locked) == 0


def test_an_authfile_is_the_only_one_asked(puller: Puller, home: Path, tmp_path: Path, locked: TestRegistry) -> None:
    docker(home, auths={locked.host: entry()})
    file = put(tmp_path / "auth.json", auths={"quay.io": entry()})
    assert pull(puller, locked, words=("--authfile", str(file))) == 1
    put(file, auths={locked.host: entry()})
    (home / ".docker" / "config.json").write_text("{")
    assert pull(puller, locked, words=("--authfile", str(file))) == 0


def test_an_authfile_that_is_not_there_is_refused(puller: Puller, locked: TestRegistry) -> None:
    assert pull(puller, locked, words=("--authfile", "/nowhere/auth.json")) == 2
    assert len(locked.journal) == 0


def test_a_netrc_counts_when_it_is_asked_for_and_no_file_has_an_account(
    puller: Puller, home: Path, locked: TestRegistry
) -> None:
    (home / ".netrc").write_text(f"machine {locked.host} login me password {MARKER}\n")
    (home / ".netrc").chmod(0o600)
    assert pull(puller, locked) == 1  # THREATS B19
    assert pull(puller, locked, words=("--netrc",)) == 0


def test_b11_a_netrc_for_the_bare_host_and_its_default_are_for_no_port(
    puller: Puller, home: Path, tmp_path: Path, locked: TestRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    file.write_text(f"machine 127.0.0.1 login me password {MARKER}\ndefault login me password {MARKER}\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    assert pull(puller, locked, words=("--netrc",)) == 1
    assert [request.headers.get("Authorization") for request in locked.journal.find(kind="token")] == [None]


def test_a_registry_token_of_dockers_settings_is_sent_as_it_is(puller: Puller, home: Path) -> None:
    auth = Bearer(USERS, anonymous=set())
    with serving(auth=auth) as registry:
        registry.add("app:1", IMAGE)
        token = auth.issue("me", (Scope("repository", "app", frozenset({"pull"})),))
        docker(home, auths={registry.host: {"registrytoken": token.value}})
        assert pull(puller, registry) == 0
        assert registry.journal.count(kind="token") == 0


async def test_ctrl_c_while_a_helper_hangs_ends_it_and_the_pull_at_once(tmp_path: Path) -> None:
    shelf, home = Shelf(tmp_path / "bin"), tmp_path / "home"
    shelf.add("slow", f"sleep 1000 & echo $! >'{tmp_path}/pid'; wait")
    docker(home, credsStore="slow")
    with serving(auth=Basic(USERS)) as registry:
        registry.add("app:1", IMAGE)
        words = (registry.name("app:1"), "--plain-http", registry.host)
        process = await started(*words, home=home, env=shelf.environ | {"PULLER_STORE": str(home / "store")})
        sleeper = await written(tmp_path / "pid")
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        end = await ended(process)
        assert time.monotonic() - began < 10
        assert end.code == 130
        assert "Traceback" not in end.err
    assert await gone(sleeper)
