"""Logins of skopeo, an independent client, work here, and ours there: in one file, and in one helper."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.access import Account, password_file
from bench.registry import serve
from testregistry import Basic, Bearer, TestRegistry
from testregistry.auth import Auth
from tests.cli.picture import IMAGE
from tests.cli.program import Ended, environment
from tests.cli.serving import serving
from tests.settings.programs import Shelf
from tests.tools import skipping_without_tools

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed"),
]

ANN = Account("ann", "open:sesame-4711")
AUTHS: list[Auth] = [Basic({ANN.user: ANN.password}), Bearer({ANN.user: ANN.password}, anonymous=set())]


@pytest.fixture(params=AUTHS, ids=["basic", "bearer"])
def registry(request: pytest.FixtureRequest) -> Iterator[TestRegistry]:
    """Nobody reads here without an account."""
    with serving(auth=request.param) as registry:
        for name in ("app:1", "team/app:1"):
            registry.add(name, IMAGE)
        yield registry


class User:
    """Somebody with a home, a file of credentials and a PATH of helpers."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.file = folder / "auth.json"
        self.shelf = Shelf(folder / "bin")

    def skopeo(self, *words: str, said: str = "") -> Ended:
        return self._run("skopeo", *words, "--authfile", str(self.file), said=said)

    def puller(self, *words: str, said: str = "") -> Ended:
        return self._run(sys.executable, "-m", "puller", *words, said=said)

    def pulls(self, registry: TestRegistry, name: str) -> bool:
        """Whether puller has an account that reads it."""
        words = (registry.name(name), "--plain-http", registry.host, "--authfile", str(self.file))
        return self.puller(*words).code == 0

    def inspects(self, registry: TestRegistry, name: str) -> bool:
        """Whether skopeo has one."""
        return self.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{registry.name(name)}").code == 0

    def logs_in(self, name: str, host: str, *, password: str = ANN.password) -> Ended:
        words = ("login", name, "-u", ANN.user, "--password-stdin", "--plain-http", host, "--authfile", str(self.file))
        return self.puller(*words, said=password)

    def skopeo_logs_in(self, name: str) -> Ended:
        words = ("login", name, "-u", ANN.user, "--password-stdin", "--tls-verify=false")
        return self.skopeo(*words, said=ANN.password)

    def _run(self, *words: str, said: str) -> Ended:
        surroundings = environment(self.home, PATH=f"{self.shelf.folder}:{os.environ['PATH']}")
        ended = subprocess.run(words, input=said, capture_output=True, text=True, env=surroundings, timeout=60)
        return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


def test_what_skopeo_login_wrote_opens_the_registry(user: User, registry: TestRegistry) -> None:
    assert not user.pulls(registry, "app:1")
    assert user.skopeo_logs_in(registry.host).code == 0
    assert user.pulls(registry, "app:1")
    assert user.skopeo("logout", registry.host).code == 0
    assert not user.pulls(registry, "app:1")


def test_what_puller_login_wrote_opens_the_registry_to_skopeo(user: User, registry: TestRegistry) -> None:
    assert not user.inspects(registry, "app:1")
    assert user.logs_in(registry.host, registry.host).code == 0
    assert user.inspects(registry, "app:1")
    assert user.puller("logout", registry.host, "--authfile", str(user.file)).code == 0
    assert not user.inspects(registry, "app:1")


def test_an_account_of_a_part_is_the_same_to_both(user: User, registry: TestRegistry) -> None:
    assert user.skopeo_logs_in(f"{registry.host}/team").code == 0
    assert (user.pulls(registry, "team/app:1"), user.pulls(registry, "app:1")) == (True, False)
    user.file.unlink()
    assert user.logs_in(f"{registry.host}/team", registry.host).code == 0
    assert (user.inspects(registry, "team/app:1"), user.inspects(registry, "app:1")) == (True, False)


def test_a_helper_serves_both(user: User, registry: TestRegistry) -> None:
    user.shelf.keeping("fake")
    user.file.write_text(json.dumps({"credHelpers": {registry.host: "fake"}}))
    assert user.skopeo_logs_in(registry.host).code == 0
    assert user.pulls(registry, "app:1")
    assert user.skopeo("logout", registry.host).code == 0
    assert not user.pulls(registry, "app:1")
    assert user.logs_in(registry.host, registry.host).code == 0
    assert user.inspects(registry, "app:1")
    assert ANN.basic not in user.file.read_text()


def test_docker_registry_with_a_password_file_checks_a_login(user: User, tmp_path: Path) -> None:
    with skipping_without_tools():
        access = password_file(tmp_path / "htpasswd", ANN)
    with serve(tmp_path / "data", tmp_path / "registry", access=access) as running:
        refused = user.logs_in(running.host, running.host, password="wrong")
        assert refused.code == 1
        assert "[Unauthorized]" in refused.err
        assert not user.file.exists()
        assert user.logs_in(running.host, running.host).code == 0
        assert json.loads(user.file.read_text()) == {"auths": {running.host: {"auth": ANN.basic}}}
