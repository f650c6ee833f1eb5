"""What is read of the environment, and in which order."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from puller.cli.environment import (
    credential_places,
    docker_config_path,
    host_platform,
    login_path,
    netrc_path,
    store_path,
    without_authorities,
)
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


def test_credentials_are_looked_for_in_the_order_of_podman_with_dockers_files_in_it(tmp_path: Path) -> None:
    """containers-auth.json(5)."""
    environ = {"HOME": "/home/me", "XDG_RUNTIME_DIR": str(tmp_path), "XDG_CONFIG_HOME": "/conf"}
    places = credential_places(None, environ)
    assert [str(place.path) for place in places] == [
        f"{tmp_path}/containers/auth.json",
        "/conf/containers/auth.json",
        "/home/me/.docker/config.json",
        "/home/me/.dockercfg",
    ]
    assert [place.legacy for place in places] == [False, False, False, True]
    assert not any(place.required for place in places)


@pytest.mark.parametrize(
    ("given", "environ", "expected", "required"),
    [
        ("/given", {"REGISTRY_AUTH_FILE": "/auth", "DOCKER_CONFIG": "/conf"}, "/given", True),
        (None, {"REGISTRY_AUTH_FILE": "/auth", "DOCKER_CONFIG": "/conf"}, "/auth", False),
        (None, {"DOCKER_CONFIG": "/conf"}, "/conf/config.json", False),
    ],
)
def test_a_file_of_credentials_that_is_named_is_the_only_one_read_and_written(
    given: str | None, environ: dict[str, str], expected: str, required: bool
) -> None:
    environ = {**environ, "HOME": "/home/me", "XDG_RUNTIME_DIR": "/"}
    (place,) = credential_places(Path(given) if given else None, environ)
    assert (str(place.path), place.required) == (expected, required)
    assert str(login_path(Path(given) if given else None, environ)) == expected


@pytest.mark.parametrize("folder", ["", "relative", "/nowhere/at/all", "somebody's"])
def test_a_runtime_directory_that_is_not_the_users_own_does_not_count(folder: str, tmp_path: Path) -> None:
    """After `su` it is that of whoever called; the XDG base directory specification wants it to be one's own."""
    if folder == "somebody's":
        folder = "/"
        if os.geteuid() == 0:
            folder = str(tmp_path)
            os.chown(folder, 12345, 12345)
    environ = {"HOME": "/home/me", "XDG_RUNTIME_DIR": folder}
    assert str(credential_places(None, environ)[0].path) == f"/run/containers/{os.getuid()}/auth.json"


def test_without_a_home_only_what_needs_none_is_looked_for() -> None:
    assert len(credential_places(None, {})) == 1
    assert str(credential_places(None, {"HOME": "/h", "XDG_CONFIG_HOME": "relative"})[1].path).startswith("/h/.config/")


def test_a_netrc_is_where_curl_looks() -> None:
    assert netrc_path({"HOME": "/home/me", "NETRC": "/mine"}) == Path("/mine")
    assert netrc_path({"HOME": "/home/me"}) == Path("/home/me/.netrc")


@pytest.mark.parametrize("environ", [{}, {"SSL_CERT_FILE": "/own.pem"}])
def test_the_systems_authorities_are_away_for_the_length_of_a_block(environ: dict[str, str]) -> None:
    before = dict(environ)
    with suppress(InterruptedError), without_authorities(environ):
        assert environ["SSL_CERT_FILE"] == os.devnull
        raise InterruptedError
    assert environ == before


def test_the_environment_is_left_alone_where_another_thread_may_read_it() -> None:
    environ: dict[str, str] = {}
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with without_authorities(environ):
            assert environ == {}
    finally:
        done.set()
        other.join()
