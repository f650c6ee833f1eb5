"""`puller login` and `puller logout`: nothing is kept that is refused, and the password is shown to nobody."""

import base64
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from testregistry import Basic, Bearer, TestRegistry
from tests.cli.conftest import Puller
from tests.cli.picture import IMAGE
from tests.cli.program import Ended, environment
from tests.cli.serving import serving
from tests.settings.programs import Shelf

pytestmark = pytest.mark.slow  # many small tests: for `make test`

MARKER = "s3cret-Marker"
USERS = {"me": MARKER}
AUTHS = [Basic(USERS), Bearer(USERS, anonymous={"pull"}), Bearer(USERS, anonymous=set())]


@pytest.fixture
def login(puller: Puller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[..., Ended]:
    """`puller login -u me --password-stdin WORDS…` with a password on stdin, which is then seen nowhere."""
    caplog.set_level("DEBUG")

    def call(*words: str, password: str = MARKER, user: str = "me") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(password.encode())))
        end = puller("login", "-u", user, "--password-stdin", *words)
        for secret in filter(None, (password.strip() if len(password) > 8 else "", entry(password.strip())["auth"])):
            assert secret not in end.out + end.err + caplog.text
        return end

    return call


def config(home: Path) -> Path:
    return home / ".docker" / "config.json"


def entry(password: str = MARKER) -> dict[str, str]:
    return {"auth": base64.b64encode(f"me:{password}".encode()).decode()}


@pytest.mark.parametrize("auth", AUTHS, ids=["basic", "bearer", "no anonymous tokens"])
def test_a_login_is_checked_and_kept_where_docker_finds_it(
    login: Callable[..., Ended], puller: Puller, home: Path, auth: Basic | Bearer
) -> None:
    with serving(auth=auth) as registry:
        end = login(registry.host, "--plain-http", registry.host)
        assert (end.code, end.err) == (0, "")
        assert end.out == f"logged in to {registry.host}, kept in {config(home)}\n"
        assert json.loads(config(home).read_text()) == {"auths": {registry.host: entry()}}
        assert config(home).stat().st_mode & 0o777 == 0o600
        registry.add("app:1", IMAGE)
        assert puller(registry.name("app:1"), "--plain-http", registry.host).code == 0


@pytest.mark.parametrize("auth", AUTHS, ids=["basic", "bearer", "no anonymous tokens"])
def test_a_login_that_is_refused_is_not_kept(login: Callable[..., Ended], home: Path, auth: Basic | Bearer) -> None:
    with serving(auth=auth) as registry:
        end = login(registry.host, "--plain-http", registry.host, password="wr0ng-Marker")
        assert end.code == 1
        assert "[Unauthorized]" in end.err
        assert not config(home).parent.exists()


def test_b1_a_login_does_not_go_over_plain_http_unasked(login: Callable[..., Ended], home: Path) -> None:
    with serving(auth=Basic(USERS)) as registry:
        end = login(registry.host)
        assert end.code == 1
        assert "--plain-http" in end.err
        assert all("Authorization" not in request.headers for request in registry.journal)
        assert not config(home).parent.exists()


def test_where_nobody_checks_a_login_that_is_said(login: Callable[..., Ended], registry: TestRegistry) -> None:
    end = login(registry.host)
    assert end.code == 0
    assert "asked for no credentials, so nobody has checked them" in end.err


@pytest.mark.parametrize(("said", "kept"), [(f"{MARKER}\n", MARKER), (f"{MARKER}\r\n", MARKER), (" a b ", " a b ")])
def test_one_end_of_a_line_is_no_part_of_a_password(
    login: Callable[..., Ended], home: Path, registry: TestRegistry, said: str, kept: str
) -> None:
    assert login(registry.host, password=said).code == 0
    assert json.loads(config(home).read_text())["auths"][registry.host] == entry(kept)


@pytest.mark.parametrize("password", ["", "\n", "a\nb", "x" * 70_000])
def test_what_can_be_no_password_is_refused(
    login: Callable[..., Ended], home: Path, registry: TestRegistry, password: str
) -> None:
    end = login(registry.host, password=password)
    assert end.code == 2
    assert not config(home).parent.exists()
    assert len(registry.journal) == 0


@pytest.mark.parametrize("name", ["a b", "user:pw@host", "-", "ghcr.io/Team", "ghcr.io/a//b", "[::1", "host:99999999"])
def test_what_is_no_registry_is_refused(login: Callable[..., Ended], name: str) -> None:
    assert login("--", name).code == 2


@pytest.mark.parametrize("form", ["http://{}", "https://{}/", "https://{}/v2/"])
def test_a_registry_may_be_named_by_an_address(
    login: Callable[..., Ended], home: Path, registry: TestRegistry, form: str
) -> None:
    assert login(form.format(registry.host)).code == 0
    assert [*json.loads(config(home).read_text())["auths"]] == [registry.host]


def test_a_user_without_a_password_from_stdin_and_without_a_terminal_is_told_what_to_do(puller: Puller) -> None:
    assert "--password-stdin" in puller("login", "ghcr.io", "-u", "me").err
    assert puller("login", "ghcr.io", "--password-stdin").code == 2


def test_a_password_is_no_word_of_the_command_line(puller: Puller) -> None:
    assert puller("login", "ghcr.io", "-u", "me", "--password", "x").code == 2
    end = puller("login", "ghcr.io", "-u", "me", "-p", "marker-secret")
    assert end.code == 2
    assert "--password-stdin" in end.err
    assert "marker-secret" not in end.err + end.out


def test_a_login_keeps_all_else_in_the_file(login: Callable[..., Ended], home: Path, registry: TestRegistry) -> None:
    config(home).parent.mkdir()
    config(home).write_text('{\n  "detachKeys": "ctrl-e,e",\n  "auths": {\n    "quay.io": {}\n  }\n}\n')
    assert login(registry.host).code == 0
    wanted = {"detachKeys": "ctrl-e,e", "auths": {"quay.io": {}, registry.host: entry()}}
    assert config(home).read_text() == json.dumps(wanted, indent=2) + "\n"


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_helper_that_is_set_up_keeps_the_login_and_the_file_notes_it(
    login: Callable[..., Ended], puller: Puller, home: Path, shelf: Shelf, key: str
) -> None:
    kept = shelf.keeping("fake")
    with serving(auth=Bearer(USERS, anonymous=set())) as registry:
        registry.add("app:1", IMAGE)
        settings = {"credsStore": "fake"} if key == "credsStore" else {"credHelpers": {registry.host: "fake"}}
        config(home).parent.mkdir()
        config(home).write_text(json.dumps(settings))
        end = login(registry.host, "--plain-http", registry.host)
        assert end.out == f"logged in to {registry.host}, kept in docker-credential-fake\n"
        assert json.loads(config(home).read_text()) == {**settings, "auths": {registry.host: {}}}
        assert MARKER in (kept / registry.host).read_text()
        assert puller(registry.name("app:1"), "--plain-http", registry.host).code == 0
        assert puller("logout", registry.host).out == f"logged out of {registry.host}\n"
        assert list(kept.iterdir()) == []
        assert json.loads(config(home).read_text()) == {**settings, "auths": {}}


def test_a_helper_that_fails_leaves_nothing_half_written(
    login: Callable[..., Ended], home: Path, shelf: Shelf, registry: TestRegistry
) -> None:
    shelf.add("fake", "echo $server >&2; echo $server; exit 1")
    config(home).parent.mkdir()
    config(home).write_text('{"credsStore": "fake"}')
    end = login(registry.host)
    assert end.code == 2
    assert "docker-credential-fake" in end.err
    assert config(home).read_text() == '{"credsStore": "fake"}'


def test_a_refused_login_does_not_reach_the_helper(login: Callable[..., Ended], home: Path, shelf: Shelf) -> None:
    shelf.keeping("fake")
    config(home).parent.mkdir()
    config(home).write_text('{"credsStore": "fake"}')
    with serving(auth=Basic(USERS)) as registry:
        assert login(registry.host, "--plain-http", registry.host, password="wr0ng").code == 1
    assert shelf.asked("fake") == []


def test_a_file_that_is_broken_is_told_before_anybody_sees_the_password(
    login: Callable[..., Ended], home: Path, registry: TestRegistry
) -> None:
    config(home).parent.mkdir()
    config(home).write_text("{")
    assert login(registry.host).code == 2
    assert len(registry.journal) == 0
    assert config(home).read_text() == "{"


def test_a_login_to_a_part_of_a_registry_is_for_that_part(
    login: Callable[..., Ended], puller: Puller, tmp_path: Path
) -> None:
    file = str(tmp_path / "auth.json")
    with serving(auth=Bearer(USERS, anonymous=set())) as registry:
        words = ("--plain-http", registry.host, "--authfile", file)
        assert login(f"{registry.host}/team", *words).code == 0
        assert json.loads((tmp_path / "auth.json").read_text()) == {"auths": {f"{registry.host}/team": entry()}}
        registry.add("team/app:1", IMAGE)
        registry.add("other/app:1", IMAGE)
        assert puller(registry.name("team/app:1"), *words).code == 0
        assert puller(registry.name("other/app:1"), *words).code == 1
        assert puller("logout", f"{registry.host}/team", "--authfile", file).code == 0
        assert puller(registry.name("team/app:1"), *words).code == 1


def test_a_helper_has_no_accounts_for_parts_of_a_registry(
    login: Callable[..., Ended], home: Path, registry: TestRegistry
) -> None:
    config(home).parent.mkdir()
    config(home).write_text('{"credsStore": "fake"}')
    end = login(f"{registry.host}/team")
    assert end.code == 2
    assert "--authfile" in end.err


@pytest.mark.parametrize("how", ["--authfile", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG"])
def test_a_file_that_is_named_is_written_and_read(
    login: Callable[..., Ended],
    puller: Puller,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    file = tmp_path / "mine" / "config.json"
    words = ["--authfile", str(file)] if how == "--authfile" else []
    if not words:
        monkeypatch.setenv(how, str(file if how == "REGISTRY_AUTH_FILE" else file.parent))
    with serving(auth=Basic(USERS)) as registry:
        registry.add("app:1", IMAGE)
        words += ["--plain-http", registry.host]
        assert puller(registry.name("app:1"), *words).code != 0
        assert login(registry.host, *words).code == 0
        assert puller(registry.name("app:1"), *words).code == 0
    assert not config(home).exists()


def test_a_login_that_another_file_hides_is_warned_of_and_a_logout_that_is_not_all(
    login: Callable[..., Ended], puller: Puller, home: Path, registry: TestRegistry
) -> None:
    podmans = home / ".config" / "containers" / "auth.json"
    podmans.parent.mkdir(parents=True)
    podmans.write_text(json.dumps({"auths": {registry.host: entry("older")}}))
    end = login(registry.host)
    assert end.err.splitlines()[-1] == f"warning: {podmans} is asked first, and has another account for {registry.host}"
    end = puller("logout", registry.host)
    assert end.out == f"logged out of {registry.host}\n"
    assert end.err == f"warning: {podmans} still has a login to {registry.host}\n"


def test_docker_hub_is_what_is_meant_when_nothing_is_named(puller: Puller, home: Path) -> None:
    config(home).parent.mkdir()
    config(home).write_text(json.dumps({"auths": {"https://index.docker.io/v1/": entry(), "docker.io": entry()}}))
    assert puller("logout").out == "logged out of docker.io\n"
    assert json.loads(config(home).read_text()) == {"auths": {}}
    assert puller("logout").out == f"{config(home)} has no login to docker.io\n"


def test_a_helper_that_fails_to_forget_keeps_nothing_in_the_file(puller: Puller, home: Path, shelf: Shelf) -> None:
    shelf.add("fake", "exit 1")
    config(home).parent.mkdir()
    config(home).write_text(json.dumps({"credsStore": "fake", "auths": {"ghcr.io": entry()}}))
    end = puller("logout", "ghcr.io")
    assert end.code == 2
    assert json.loads(config(home).read_text())["auths"] == {}


# A session leader takes what is on its stdin for its own terminal, so that there is a /dev/tty to ask at.
LEADER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"


def on_a_terminal(home: Path, *words: str, typed: bytes) -> tuple[int, bytes]:
    """`python -m puller WORDS…` with a terminal of its own: its exit code, and all that the terminal showed."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", LEADER, sys.executable, "-m", "puller", *words]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(home), start_new_session=True
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end has closed
            piece = b""
        if not piece:
            break
        shown += piece
        if shown.rstrip().endswith(b":") and typed:
            line, _, typed = typed.partition(b"\n")
            os.write(ours, line + b"\n")
    os.close(ours)
    return process.wait(30), shown


def test_at_a_terminal_the_password_is_asked_for_and_not_shown(home: Path) -> None:
    with serving(auth=Basic(USERS)) as registry:
        words = ("login", registry.host, "--plain-http", registry.host)
        code, shown = on_a_terminal(home, *words, typed=f"me\n{MARKER}\n".encode())
        assert code == 0, shown
        assert b"Username: me" in shown
        assert b"Password:" in shown
        assert MARKER.encode() not in shown
    assert json.loads(config(home).read_text()) == {"auths": {registry.host: entry()}}
