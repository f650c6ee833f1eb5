"""What is read of the environment, and in which order."""

from pathlib import Path

import pytest

from puller.cli.environment import docker_config_path, host_platform, store_path
from puller.errors import InvalidConfig
from puller.model.platform import Platform
from tests.cli.picture import ARCHITECTURE


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ("/given", {"PULLER_STORE": "/own", "HOME": "/home/me"}, "/given"),
        (None, {"PULLER_STORE": "/own", "XDG_DATA_HOME": "/data", "HOME": "/home/me"}, "/own"),
        (None, {"XDG_DATA_HOME": "/data", "HOME": "/home/me"}, "/data/puller"),
        (None, {"XDG_DATA_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/share/puller"),
        (None, {"PULLER_STORE": "", "XDG_DATA_HOME": "", "HOME": "/home/me"}, "/home/me/.local/share/puller"),
        (None, {"HOME": "/home/me"}, "/home/me/.local/share/puller"),
    ],
)
def test_the_store_is_where_the_nearest_word_says(given: str | None, environ: dict[str, str], expected: str) -> None:
    assert store_path(Path(given) if given else None, environ) == Path(expected)


def test_without_home_and_word_there_is_no_store() -> None:
    with pytest.raises(InvalidConfig):
        store_path(None, {})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"DOCKER_CONFIG": "/conf", "HOME": "/home/me"}, "/conf/config.json"),
        ({"HOME": "/home/me"}, "/home/me/.docker/config.json"),
    ],
)
def test_dockers_settings_are_where_docker_looks(environ: dict[str, str], expected: str) -> None:
    assert docker_config_path(environ) == Path(expected)


def test_images_run_on_linux_whatever_runs_them() -> None:
    assert host_platform() == Platform("linux", ARCHITECTURE)
