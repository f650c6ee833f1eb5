"""Where settings of podman, containerd and docker are looked for, by the environment."""

import os
from pathlib import Path

from puller.cli.environment import settings_places

HOME = {"HOME": "/home/me"}


def test_the_users_folders_come_from_home_and_the_machines_from_the_root() -> None:
    places = settings_places(HOME)

    assert (places.etc, places.config) == (Path("/etc"), (Path("/home/me/.config"),))
    assert (places.desktop, places.registries_conf) == (Path("/home/me/.docker"), None)
    assert places.all("docker/daemon.json") == (
        Path("/home/me/.config/docker/daemon.json"),
        Path("/etc/docker/daemon.json"),
    )


def test_an_xdg_folder_comes_before_that_of_home_and_a_relative_one_is_none() -> None:
    assert settings_places({**HOME, "XDG_CONFIG_HOME": "/conf"}).config == (Path("/conf"), Path("/home/me/.config"))
    assert settings_places({**HOME, "XDG_CONFIG_HOME": "conf"}).config == (Path("/home/me/.config"),)


def test_another_root_may_stand_for_the_machine() -> None:
    places = settings_places({**HOME, "PULLER_SETTINGS_ROOT": "/image"})

    assert places.etc == Path("/image/etc")
    if os.geteuid() == 0:
        assert places.aliases == Path("/image/var/cache")


def test_a_registries_conf_may_be_named() -> None:
    assert settings_places({**HOME, "CONTAINERS_REGISTRIES_CONF": "/r.conf"}).registries_conf == Path("/r.conf")


def test_who_has_no_home_has_no_settings_of_their_own() -> None:
    places = settings_places({})

    assert (places.config, places.desktop) == ((), None)
