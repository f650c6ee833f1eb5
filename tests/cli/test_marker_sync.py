"""Marked secrets through all that keeps images in step: no plan, report, state, tombstone, lock file or output has one
(THREATS B15, H).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from puller.mirror.state import State
from testregistry import images
from tests.cli.conftest import Puller
from tests.cli.marked import MARKER
from tests.cli.picture import IMAGE, PLATFORM
from tests.cli.test_marker_words import FAULTS, Stage, staged

pytestmark = pytest.mark.slow

OTHER = images.image(images.layer({"srv/other": b"other"}), platform=PLATFORM)
GONE = images.image(images.layer({"srv/gone": b"gone"}), platform=PLATFORM)
POINTERS = {"variable": {"env": "SECRET_OF_MINE"}, "file": {"file": "secret"}}
PLACES = ("docker", "identity token", "hosts.toml", "proxy", *POINTERS)
SOME = ("none", "forbidden", "elsewhere", "no address", "echo", "token of nonsense", "wrong bytes")


class Kept:
    """A repository that is kept in step, in another one and in a directory; and the words of every verb that helps."""

    def __init__(self, stage: Stage, folder: Path, login: dict[str, Any]) -> None:
        self.stage = stage
        self._folder = folder
        self.file = folder / "mirrors.yaml"
        host = stage.registry.host
        mirrors = [
            {"from": f"{host}/app", "to": to, "referrers": True, "backup": "old-{tag}", "prune": {"enabled": True}}
            for to in (f"{host}/kept", f"oci:{folder}/kept")
        ]
        hosts = {host: {"plain-http": True, **login}}
        self.file.write_text(json.dumps({"puller": 1, "registries": hosts, "mirrors": mirrors}))

    def _at(self, name: str) -> str:
        return str(self._folder / name)

    def sync(self, *words: str) -> int:
        return self.stage.run("sync", str(self.file), *words)

    def everything(self) -> None:
        """Each verb once; runs are undone in the end."""
        run, file = self.stage.run, str(self.file)
        self.sync("--json", "--report", self._at("report"), "--reports", self._at("reports"))
        run("plan", file, "-o", self._at("plan"))
        run("plan", file, "--json")
        run("apply", self._at("plan"), "--report", self._at("applied"))
        run("lock", file, self.stage.registry.name("app:1"), "-o", self._at("lock"))
        self.sync("--locked", self._at("lock"), "--json")
        run(
            "copy", self.stage.registry.name("app:1"), f"oci:{self._folder}/copy:1", "--json", "--report", self._at("c")
        )
        for words in ((), ("--json",)):
            run("status", file, *words, speaks=False)
            run("undo", "--config", file, *words)
            for name in self.runs():
                run("undo", name, "--overwritten", *words)

    def _states(self) -> list[Path]:
        return list((self._folder / "home" / ".local" / "state" / "puller" / "mirrors").iterdir())

    def runs(self) -> list[str]:
        """The names of all runs so far."""
        found = []
        for folder in self._states():
            with State.read(folder) as state:
                found += [row.run for row in state.runs(100)]
        return found

    def reports(self) -> str:
        """What is packed in states."""
        texts = []
        for folder in self._states():
            with State.read(folder) as state:
                texts += [json.dumps(state.report(row.run)) for row in state.runs(100)]
        return "\n".join(texts)


@contextmanager
def keeping(place: str, folder: Path, puller: Puller) -> Iterator[Kept]:
    login: dict[str, Any] = {}
    if place in POINTERS:
        pointer = POINTERS[place]
        if place == "file":
            pointer = {"file": str(folder / "secret")}
        login = {"login": {"user": "me", "password": pointer}}
    with staged("none of these" if place in POINTERS else place, folder, puller) as stage:
        if place == "file":
            stage.keep_secret(folder / "secret", f"{MARKER}\n")
        yield Kept(stage, folder, login)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", SOME)
def test_b15_nothing_that_keeps_images_in_step_shows_or_keeps_a_secret(
    fault: str,
    place: str,
    home: Path,
    puller: Puller,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("SECRET_OF_MINE", MARKER)
    with keeping(place, tmp_path, puller) as kept:
        registry = kept.stage.registry
        for number in range(12):
            registry.add(f"app:{number}", GONE if number == 11 else IMAGE)
        is_let_in = place not in ("proxy", "hosts.toml")  # the latter is of pulls alone
        assert (kept.sync() == 0) == is_let_in
        registry.storage.untag("app", "11")
        registry.add("app:1", OTHER)
        if fault != "none":
            for armed in FAULTS[fault]():
                registry.faults.append(armed)
        kept.everything()
        assert kept.stage.findings(caplog.text, kept.reports()) == []
        assert len(kept.runs()) >= 2
        if fault == "none" and is_let_in:
            assert kept.stage.has_said("pruned", "back")
