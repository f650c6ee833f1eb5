"""AuthFile: a file of credentials where docker, podman or skopeo may have put it, read when it is first asked."""

from dataclasses import dataclass
from pathlib import Path

from puller.errors import InvalidConfig
from puller.settings.dockerconfig import DockerConfig
from puller.settings.file import read_file

_NOBODY = DockerConfig({}, {}, "", file="")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file may be. `legacy`: it is of the form of .dockercfg. `required`: somebody has named it."""

    path: Path
    legacy: bool = False
    required: bool = False


class AuthFile:
    """The accounts of the file at a place; of none, where it need not be there."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._config: DockerConfig | None = None

    @property
    def config(self) -> DockerConfig:
        """What it holds. Raises InvalidConfig: a file that is there and cannot be read is not passed over."""
        if self._config is None:
            place = self._place
            raw = read_named(place.path) if place.required else read_file(place.path)
            self._config = (
                _NOBODY if raw is None else DockerConfig.parse(raw, file=str(place.path), legacy=place.legacy)
            )
        return self._config


def read_named(path: Path) -> bytes:
    """The bytes of a file that somebody has asked for by name. Raises InvalidConfig, also where there is none."""
    raw = read_file(path)
    if raw is None:
        raise InvalidConfig("there is no such file of credentials", where=path)
    return raw
