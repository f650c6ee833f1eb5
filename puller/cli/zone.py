"""Zone: the time zone that schedules are read in: that of $TZ, else of this machine, as tzset(3) has it."""

from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from puller.errors import InvalidConfig

LOCALTIME = Path("/etc/localtime")
_FOLDER = "/zoneinfo/"


def local_zone(variable: str | None, localtime: Path = LOCALTIME) -> tzinfo:
    """The zone that $TZ names, `Europe/Berlin` or the path of a file; UTC where it is empty.

    Without $TZ the machine's; UTC where it has none. Raises InvalidConfig for a zone that is not known: a mirror that
    runs at other times than people think is worse than one that does not start.
    """
    if variable is None:
        return _of_file(localtime) if localtime.exists() else UTC
    name = variable.removeprefix(":")
    if name in ("", "UTC", "UTC0", "GMT"):
        return UTC
    if name.startswith("/"):
        return _of_file(Path(name))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = "Write TZ=Europe/Berlin; where the machine has no time zones (package tzdata), TZ=UTC."
        raise InvalidConfig("TZ names no time zone that is known here", got=variable[:100], hint=hint) from error


def _of_file(file: Path) -> tzinfo:
    """Under its name where it lies among the others, so that it can be shown."""
    try:
        _, found, name = str(file.resolve()).rpartition(_FOLDER)
        if found:
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                pass
        with file.open("rb") as opened:
            return ZoneInfo.from_file(opened, key=file.name)
    except (OSError, ValueError) as error:
        raise InvalidConfig("the file of the time zone cannot be read", where=file, got=str(error)[:200]) from error
