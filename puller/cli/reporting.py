"""Reporting: where `--report FILE` goes, whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path

from puller.cli.whole import write_whole
from puller.errors import InvalidConfig


def check_report_file(file: Path | None, what: str = "report") -> None:
    """Refuse early a file that could not be written in the end. Raises InvalidConfig."""
    if file is None:
        return
    if not file.absolute().parent.is_dir():
        raise InvalidConfig(f"the {what}'s folder does not exist", where=file)
    try:
        is_other = file.exists() and not file.is_file()
    except OSError as error:
        raise InvalidConfig(f"the {what} cannot be written", where=file, got=error.strerror) from error
    if is_other:
        raise InvalidConfig(f"the {what} can only become a file", where=file)


def write_report(file: Path | None, document: Mapping[str, object]) -> None:
    """Write `document` as JSON, if there is a file to write it to. Raises InvalidConfig."""
    if file is None:
        return
    try:
        write_whole(file, (json.dumps(document, indent=2) + "\n").encode())
    except OSError as error:
        raise InvalidConfig("the report cannot be written", where=file, got=error.strerror) from error
