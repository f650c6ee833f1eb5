"""The file of logins: what is written, what is left as it was, and what a second process or a kill cannot break."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from puller.contracts.access import Credential, KnownIdentity
from puller.errors import InvalidConfig, PullerError, StoreBusy
from puller.settings import login
from puller.settings.key import Key
from puller.settings.login import LoginFile

ANN = Credential("ann", "sesame")
GHCR = Key("ghcr.io")
HUB = Key("docker.io")
AUTH = {"auth": "YW5uOnNlc2FtZQ=="}
# As docker/cli writes it: tabs, no line feed at the end, settings of other commands, a login that a helper keeps.
CONFIG = """{
\t"auths": {
\t\t"quay.io": {},
\t\t"registry.example": {
\t\t\t"auth": "Ym9iOng=",
\t\t\t"email": "bob@example"
\t\t}
\t},
\t"HttpHeaders": {
\t\t"X-Meta": "ü"
\t},
\t"detachKeys": "ctrl-e,e",
\t"plugins": {},
\t"aliases": []
}"""


def read(path: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads(path.read_text())
    return document


def test_a_login_is_written_as_docker_does(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".docker" / "config.json"
    LoginFile(path).put(GHCR, ANN)
    assert path.read_text() == '{\n\t"auths": {\n\t\t"ghcr.io": {\n\t\t\t"auth": "YW5uOnNlc2FtZQ=="\n\t\t}\n\t}\n}'
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("credential", "entry"),
    [
        (Credential("ann", "with:colon"), {"auth": "YW5uOndpdGg6Y29sb24="}),
        (Credential("", "", "abc"), {"identitytoken": "abc"}),
        (None, {}),
    ],
)
def test_each_kind_of_login_has_dockers_form(
    tmp_path: Path, credential: Credential | None, entry: dict[str, str]
) -> None:
    LoginFile(tmp_path / "a").put(GHCR, credential)
    assert read(tmp_path / "a") == {"auths": {"ghcr.io": entry}}
    accounts = LoginFile(tmp_path / "a").config().accounts("ghcr.io", "app")
    assert [account.known for account in accounts if isinstance(account, KnownIdentity)] == (
        [] if credential is None else [credential]
    )


def test_docker_hub_is_written_under_dockers_key_and_podmans_older_login_goes(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {"docker.io": AUTH, "docker.io/team": AUTH, "ghcr.io": AUTH}}))
    LoginFile(path).put(HUB, Credential("new", "x"))
    auths = {"docker.io/team": AUTH, "ghcr.io": AUTH, "https://index.docker.io/v1/": {"auth": "bmV3Ong="}}
    assert read(path) == {"auths": auths}


def test_all_other_settings_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(CONFIG)
    LoginFile(path).put(GHCR, ANN)
    added = '\t\t},\n\t\t"ghcr.io": {\n\t\t\t"auth": "YW5uOnNlc2FtZQ=="\n\t\t}\n\t},\n\t"HttpHeaders"'
    assert path.read_text() == CONFIG.replace('\t\t}\n\t},\n\t"HttpHeaders"', added)
    LoginFile(path).drop(GHCR)
    assert path.read_text() == CONFIG


@pytest.mark.parametrize("indent", ["  ", "    ", "\t"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_file_is_indented_as_it_was(tmp_path: Path, indent: str, end: str) -> None:
    path = tmp_path / "config.json"
    before = json.dumps({"auths": {}, "x": [1, 1.5, None, True]}, indent=indent) + end
    path.write_text(before)
    LoginFile(path).put(GHCR, ANN)
    assert path.read_text() == json.dumps({"auths": {"ghcr.io": AUTH}, "x": [1, 1.5, None, True]}, indent=indent) + end


@pytest.mark.parametrize("text", ["", "\n", "{}", '{"auths": null}', '{"auths":{}}'])
def test_a_file_of_nothing_is_begun(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    LoginFile(path).put(GHCR, ANN)
    assert read(path) == {"auths": {"ghcr.io": AUTH}}


def test_a_login_that_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    LoginFile(path).put(GHCR, ANN)
    before = path.stat().st_ino
    LoginFile(path).put(GHCR, ANN)
    assert path.stat().st_ino == before


def test_a_logout_takes_every_way_to_write_the_registry_and_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    names = ("ghcr.io", "https://ghcr.io", "http://ghcr.io/v1/", "GHCR.io", "ghcr.io/team", "quay.io")
    path.write_text(json.dumps({"auths": dict.fromkeys(names, AUTH)}))
    assert LoginFile(path).drop(GHCR)
    assert read(path) == {"auths": {"ghcr.io/team": AUTH, "quay.io": AUTH}}
    assert LoginFile(path).drop(Key("ghcr.io", "team"))
    assert read(path) == {"auths": {"quay.io": AUTH}}
    assert not LoginFile(path).drop(GHCR)


def test_a_logout_makes_no_file(tmp_path: Path) -> None:
    assert not LoginFile(tmp_path / "new" / "config.json").drop(GHCR)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["there", "missing"])
def test_a_link_is_followed_and_stays_one(tmp_path: Path, target: str) -> None:
    (tmp_path / "dotfiles").mkdir()
    if target == "there":
        (tmp_path / "dotfiles" / "config.json").write_text(CONFIG)
    link = tmp_path / "config.json"
    link.symlink_to("dotfiles/config.json")
    LoginFile(link).put(GHCR, ANN)
    assert link.is_symlink()
    assert "ghcr.io" in (tmp_path / "dotfiles" / "config.json").read_text()
    assert list((tmp_path / "dotfiles").iterdir()) == [tmp_path / "dotfiles" / "config.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_the_file_to_whom_it_belongs(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(CONFIG)
    os.chown(path, 12345, 54321)
    LoginFile(path).put(GHCR, ANN)
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (12345, 54321, 0o600)


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": []}', '{"a": 1, "a": 2}', "marker-secret"])
def test_a_file_that_cannot_be_read_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match=str(path)) as caught:
        LoginFile(path).put(GHCR, ANN)
    assert path.read_text() == text
    assert "marker-secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_login_has_left_goes_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(CONFIG)
    (tmp_path / ".puller-login-0123").write_text("half of a secret")
    (tmp_path / "other").write_text("")
    LoginFile(path).put(GHCR, ANN)
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "other"]


def test_what_cannot_be_taken_away_of_that_name_stops_no_login(tmp_path: Path) -> None:
    (tmp_path / ".puller-login-planted").mkdir()
    LoginFile(tmp_path / "config.json").put(GHCR, ANN)
    assert read(tmp_path / "config.json") == {"auths": {"ghcr.io": AUTH}}


def test_whoever_keeps_the_lock_of_the_directory_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "BUSY", 0.1)
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        with pytest.raises(StoreBusy, match=str(tmp_path)):
            LoginFile(tmp_path / "config.json").put(GHCR, ANN)
    finally:
        os.close(fd)
    assert list(tmp_path.iterdir()) == []


def test_b15_a_login_closes_a_file_that_was_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    LoginFile(path).put(GHCR, ANN)
    path.chmod(0o644)
    LoginFile(path).put(GHCR, ANN)  # nothing new
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PullerError, match=r"config\.json"):
        LoginFile(tmp_path / "file" / "config.json").put(GHCR, ANN)


FULL = """
import resource, signal, sys
from pathlib import Path
from puller.contracts.access import Credential
from puller.errors import NoSpace
from puller.settings.key import Key
from puller.settings.login import LoginFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    LoginFile(Path(sys.argv[1])).put(Key("ghcr.io"), Credential("ann", "sesame"))
except NoSpace:
    print("no space")
"""


def test_a_disk_without_room_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(CONFIG)
    ended = subprocess.run([sys.executable, "-c", FULL, str(path)], check=True, capture_output=True)
    assert ended.stdout == b"no space\n"
    assert path.read_text() == CONFIG
    assert list(tmp_path.iterdir()) == [path]


LOGIN = """
import sys
from pathlib import Path
from puller.contracts.access import Credential
from puller.settings.key import Key
from puller.settings.login import LoginFile
for number in range(20):
    LoginFile(Path(sys.argv[1])).put(Key(f"{sys.argv[2]}-{number}.example"), Credential("ann", "sesame"))
"""


def test_logins_of_several_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(CONFIG)
    running = [subprocess.Popen([sys.executable, "-c", LOGIN, str(path), name]) for name in ("a", "b", "c")]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    document = read(path)
    auths = document["auths"]
    assert isinstance(auths, dict)
    assert len(auths) == 62
    assert document["detachKeys"] == "ctrl-e,e"
    assert list(tmp_path.iterdir()) == [path]
