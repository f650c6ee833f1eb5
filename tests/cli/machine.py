"""Machine: what is set up for podman, containerd and docker on the machine of a test, and pulls with their reports."""

import json
from pathlib import Path
from typing import Any

from tests.cli.conftest import Puller
from tests.cli.program import Ended

DEAD = "127.0.0.1:1"  # nothing listens there


class Machine:
    """Settings below PULLER_SETTINGS_ROOT, and pulls with their reports."""

    def __init__(self, tmp_path: Path, puller: Puller) -> None:
        self.etc = tmp_path / "root" / "etc"
        self._report = tmp_path / "report.json"
        self._puller = puller

    def write(self, name: str, text: str) -> Path:
        path = self.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def mirrored(self, registry: str, *mirrors: str, more: str = "") -> None:
        """A registries.conf in which `registry` has these mirrors; `more` is of each."""
        tables = "".join(f'[[registry.mirror]]\nlocation = "{mirror}"\n{more}\n' for mirror in mirrors)
        self.write("containers/registries.conf", f'[[registry]]\nlocation = "{registry}"\n{tables}')

    def pull(self, *words: str) -> tuple[Ended, list[dict[str, Any]]]:
        """How it ended, and the report's blobs."""
        end = self._puller("pull", "--report", str(self._report), *words)
        report = json.loads(self._report.read_text()) if self._report.exists() else {"pulls": [{"blobs": []}]}
        return end, report["pulls"][0]["blobs"]

    def error(self) -> dict[str, Any]:
        """That of the last report."""
        error: dict[str, Any] = json.loads(self._report.read_text())["pulls"][0]["error"]
        return error
