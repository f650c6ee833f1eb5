"""Marked secrets in a user's settings, through the whole command line: nothing prints, logs or keeps one (THREATS B15).

What fails at once is gone through here; what is tried again and again, in test_marker, where nobody waits.
"""

import io
import json
import os
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from testregistry import Basic, Bearer, TestRegistry, faults
from testregistry.fault import Fault
from tests.cli.conftest import Puller
from tests.cli.marked import MARKER, USERS
from tests.cli.picture import BASE, IMAGE
from tests.cli.serving import serving
from tests.cli.test_marker import echo
from tests.settings.programs import Shelf, answering

pytestmark = pytest.mark.slow  # some hundred runs

ENCODED = b64encode(f"me:{MARKER}".encode()).decode()
PLACES = ("docker", "helper", "broken helper", "authfile", "netrc", "hosts.toml", "identity token", "proxy")
LET_IN = {"docker", "helper", "authfile", "netrc", "hosts.toml", "identity token"}
FAULTS: dict[str, Callable[[], list[Fault]]] = {
    "none": list,
    "forbidden": lambda: [faults.status(403, body=MARKER.encode(), times=None)],
    "gone": lambda: [faults.status(404, times=None)],
    "wrong bytes": lambda: [faults.flip(BASE.digest, at=-1, times=None)],
    "encoded": lambda: [faults.content_encoding(None, "gzip", times=None)],
    "elsewhere": lambda: [faults.redirect(None, f"http://me:{MARKER}@127.0.0.1:9/?sig={MARKER}", times=None)],
    "no address": lambda: [faults.redirect(None, f"file:///{MARKER}", times=None)],
    "echo": lambda: [faults.answer(None, echo, times=None, path=r"/v2/.*")],
    "token of nonsense": lambda: [faults.body(None, b'{"token": "%s\\n"}' % MARKER.encode(), kind="token", times=None)],
}


class Stage:
    """A registry, a user who has set it up in one way or another, and all that they see."""

    def __init__(self, place: str, registry: TestRegistry, folder: Path, puller: Puller) -> None:
        self.registry = registry
        self._folder = folder
        self._puller = puller
        self._words: list[str] = ["--plain-http", registry.host, "--debug"]
        self._kept: set[Path] = set()
        self._seen: list[str] = []
        self._set_up(place)

    def run(self, *words: str, speaks: bool = True) -> int:
        """`speaks`: to registries, and so takes the words on how."""
        end = self._puller(*words, *(self._words if speaks else ()))
        self._seen += [end.out, end.err]
        return end.code

    def findings(self, *logs: str) -> list[str]:
        """Every line with a secret: of what was printed, of these logs, and of all files but those it was put into."""
        files = [path for path in self._folder.rglob("*") if path.is_file() and path not in self._kept]
        texts = [*self._seen, *logs, *(path.read_bytes().decode("latin-1") for path in files)]
        sent = {request.headers.get("Authorization", "").rpartition(" ")[2] for request in self.registry.journal}
        secrets = {MARKER, ENCODED, *filter(None, sent)}
        return [line[:300] for text in texts for line in text.splitlines() if any(map(line.__contains__, secrets))]

    def _set_up(self, place: str) -> None:
        host, home = self.registry.host, self._folder / "home"
        if place in ("docker", "authfile"):
            self.keep_secret(self._authfile(home, place), json.dumps({"auths": {host: {"auth": ENCODED}}}))
        elif place == "identity token":
            self.keep_secret(self._authfile(home, place), json.dumps({"auths": {host: {"identitytoken": MARKER}}}))
        elif place == "netrc":
            self.keep_secret(home / ".netrc", f"machine {host} login me password {MARKER}\n")
            self._words.append("--netrc")
        elif place == "hosts.toml":
            text = f'[host."http://{host}".header]\nX-Api-Key = "{MARKER}"\nAuthorization = "Basic {ENCODED}"\n'
            self.keep_secret(self._folder / "root" / "etc" / "containerd" / "certs.d" / host / "hosts.toml", text)
        elif place == "proxy":  # there is none: it cannot be reached
            self._words += ["--proxy", f"http://me:{MARKER}@127.0.0.1:9"]
        elif "helper" in place:
            body = answering("me", MARKER) if place == "helper" else f"echo {MARKER}; echo {MARKER} >&2; exit 1"
            shelf = Shelf(self._folder / "bin")
            shelf.add("fake", body)
            self._kept.add(shelf.folder / "docker-credential-fake")
            self.keep_secret(home / ".docker" / "config.json", json.dumps({"credsStore": "fake"}))

    def _authfile(self, home: Path, place: str) -> Path:
        if place != "authfile":
            return home / ".docker" / "config.json"
        self._words += ["--authfile", str(home / "auth.json")]
        return home / "auth.json"

    def has_said(self, *words: str) -> bool:
        """Whether all of these were printed."""
        return all(any(word in text for text in self._seen) for word in words)

    def keep_secret(self, path: Path, text: str) -> None:
        """Put a file of the user's with a secret in it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        self._kept.add(path)


@contextmanager
def staged(place: str, folder: Path, puller: Puller) -> Iterator[Stage]:
    tokens = Bearer(USERS, anonymous=set(), identity_tokens={MARKER: "me"})
    auth = tokens if place in ("identity token", "netrc") else Basic(USERS)
    with ExitStack() as opened:
        registry = opened.enter_context(serving(auth=auth))
        registry.add("app:1", IMAGE)
        yield Stage(place, registry, folder, puller)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
def test_b15_no_verb_shows_or_keeps_a_secret_whatever_fails(
    fault: str,
    place: str,
    home: Path,
    puller: Puller,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with staged(place, tmp_path, puller) as stage:
        name, report = stage.registry.name("app:1"), ["--report", str(tmp_path / "report")]
        opens = stage.run("pull", name, "--json", *report) == 0
        assert opens == (place in LET_IN)
        for armed in FAULTS[fault]():
            stage.registry.faults.append(armed)
        stage.run("pull", name, "--json", "--store", str(tmp_path / "other"), "--report", str(tmp_path / "again"))
        stage.run("pull", stage.registry.name("app"), "--all-tags")
        if opens:
            stage.run("push", name, stage.registry.name("copy:1"), "--json", "--report", str(tmp_path / "pushed"))
        for words in (("digest", name), ("tags", stage.registry.name("app")), ("ping", name), ("ping", name, "--json")):
            stage.run(*words)
        assert stage.findings(caplog.text) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_b15_no_login_shows_the_password_or_keeps_it_where_it_does_not_belong(
    fault: str,
    home: Path,
    puller: Puller,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("DEBUG")
    with staged("docker", tmp_path, puller) as stage:
        for armed in FAULTS[fault]():
            stage.registry.faults.append(armed)
        for password in (MARKER, f"{MARKER}-wrong"):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(password.encode())))
            stage.run("login", "-u", "me", "--password-stdin", stage.registry.host)
        assert stage.findings(caplog.text) == []
        assert stage.run("logout", stage.registry.host, speaks=False) == 0
        assert stage.findings(caplog.text) == []
