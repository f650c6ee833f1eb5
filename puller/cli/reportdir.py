"""Reportdir: one file for each run, the latest of them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from puller.cli.whole import unfinished_name, write_whole
from puller.errors import InvalidConfig
from puller.model.sync import SyncReport

KEEP = 100
_OURS = re.compile(r"\.?sync-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}\.json(\.[0-9a-f]{8}\.unfinished)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReportDir:
    """A folder with the reports of the last `keep` runs, by names that sort by time; other files there are let be."""

    folder: Path
    keep: int = KEEP

    def check(self) -> None:
        """Make the folder, if it is not there. Raises InvalidConfig where reports could not be written."""
        try:
            self.folder.mkdir(exist_ok=True)
            probe = unfinished_name(self.folder / "sync-00000000T000000Z-0000.json")
            probe.touch(exist_ok=False)
            probe.unlink()
        except OSError as error:
            raise InvalidConfig("reports cannot be written there", where=self.folder, got=error.strerror) from error

    def write(self, report: SyncReport) -> Path:
        """Write one, whole or not at all, and remove those that are too many. Raises InvalidConfig."""
        file = self.folder / f"sync-{report.run}.json"
        try:
            write_whole(file, (json.dumps(report.encode(), indent=2) + "\n").encode())
            self._tidy()
        except OSError as error:
            raise InvalidConfig("the report cannot be written", where=file, got=error.strerror) from error
        return file

    def _tidy(self) -> None:
        ours = sorted(path.name for path in self.folder.iterdir() if _OURS.fullmatch(path.name))
        whole = [name for name in ours if name.endswith(".json")]
        # What a kill has left behind: nobody else writes here while a run is on.
        for name in [*whole[: -self.keep], *(name for name in ours if name.endswith(".unfinished"))]:
            (self.folder / name).unlink(missing_ok=True)
