"""AuthFile: a file of credentials where docker, podman or skopeo may have put it, read when it is first asked."""

from dataclasses import dataclass
from pathlib import Path

from puller.errors import InvalidConfig
from puller.model.document import MAX_BYTES
from puller.settings.dockerconfig import DockerConfig

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
            raw = read_settings(place.path, required=place.required)
            self._config = (
                _NOBODY if raw is None else DockerConfig.parse(raw, file=str(place.path), legacy=place.legacy)
            )
        return self._config


def read_settings(path: Path, *, required: bool = False) -> bytes | None:
    """All of a small file; None: there is none. Raises InvalidConfig."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        if required:
            raise InvalidConfig("there is no such file of credentials", where=path) from error
        return None
    except OSError as error:
        hint = "Name the file to be used instead: --authfile FILE."
        raise InvalidConfig("credentials cannot be read", where=path, got=error.strerror, hint=hint) from error
    if len(raw) > MAX_BYTES:
        raise InvalidConfig("too large for a file of credentials", where=path, wanted=f"at most {MAX_BYTES} bytes")
    return raw
