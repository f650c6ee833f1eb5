"""The command line in this process, as a user would run it who has set nothing."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import pytest

from puller.cli.main import run
from testregistry import TestRegistry
from tests.cli.program import Ended
from tests.cli.serving import serving
from tests.settings.programs import Shelf

Puller: TypeAlias = Callable[..., Ended]
Form: TypeAlias = Literal["registry", "oci"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory; the store is `store` in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    for name in ("CONTAINERS_REGISTRIES_CONF", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULLER_SETTINGS_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PULLER_STORE", str(folder / "store"))
    return folder


@pytest.fixture
def puller(home: Path, capsys: pytest.CaptureFixture[str]) -> Puller:
    """`puller WORDS…` to its end."""

    def call(*words: str) -> Ended:
        capsys.readouterr()
        code = run(words)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def registry() -> Iterator[TestRegistry]:
    """A registry with nothing in it."""
    with serving() as registry:
        yield registry


@pytest.fixture
def other() -> Iterator[TestRegistry]:
    """Another registry, which has nothing."""
    with serving() as registry:
        yield registry


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Where helpers are found."""
    shelf = Shelf(tmp_path / "bin")
    monkeypatch.setenv("PATH", shelf.environ["PATH"])
    return shelf


@pytest.fixture(params=get_args(Form))
def form(request: pytest.FixtureRequest) -> Form:
    """What a test keeps images in step in, one after the other."""
    found: Form = request.param
    return found


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 80 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
