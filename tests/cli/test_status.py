"""`puller status`: how mirrors stand, from what runs have left."""

import json
import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from puller.mirror.config import Mirror
from puller.mirror.formats import read
from puller.mirror.known import Known
from puller.mirror.runlock import only_run
from puller.mirror.state import REPORTS_KEPT, State
from puller.model.sync import Carried, Item, SyncReport
from puller.ops.syncing.parts import note_runs
from tests.cli.conftest import Puller

CONFIG = """
puller: 1
mirrors:
  - {from: up.example/debian, to: down.example/debian, schedule: every 6h}
  - {from: up.example/redis, to: down.example/redis, schedule: "17 * * * *"}
  - {from: up.example/team/*, to: "oci:/srv/team"}
"""
ERROR = {"error": "NotFound", "what": "no such manifest", "host": "up.example"}
DIGEST = "sha256:" + "1" * 64


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of three mirrors."""
    monkeypatch.setenv("TZ", "UTC")
    file = tmp_path / "mirrors.yaml"
    file.write_text(CONFIG)
    return file


def item(name: str, tag: str, *, to: str = "", failed: bool = False) -> Item:
    carried = None if failed else Carried(DIGEST, fetched=5)
    error = ERROR if failed else None
    target = to or f"down.example/{name}"
    return Item(f"up.example/{name}", tag, target, tag, "failed" if failed else "new", "", carried=carried, error=error)


def ran(
    state: Path, config: Path, started: float, items: Sequence[Item], only: Sequence[int] = (0, 1, 2), **rest: Any
) -> None:
    """A run as `sync` leaves it."""
    mirrors = read(config.read_bytes(), str(config)).mirrors
    report = SyncReport(f"run-{started}", str(config), started, started + 60, tuple(items), **rest)
    with State.open(state) as opened:
        opened.begin(report.run, report.config, started)
        for one in items:
            if one.error is None:
                known = Known(one.target, one.name, one.source, one.tag, DIGEST, "x/y", 5, DIGEST, "{}", started)
                opened.remember(known)
        opened.end(report)
        chosen: list[Mirror] = [mirrors[number] for number in only]
        note_runs(opened, mirrors, report, chosen)


def test_mirrors_that_never_ran_are_due_and_not_well(puller: Puller, config: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    ended = puller("status", str(config), "--state", str(state))
    assert ended.code == 1
    rows = ended.out.splitlines()
    assert rows[0].split() == ["MIRROR", "LAST", "RUN", "RESULT", "TAGS", "NEXT", "RUN"]
    assert rows[1].split() == ["up.example/debian", "→", "down.example/debian", "-", "never", "ran", "0", "now"]
    assert rows[3].split()[-1] == "-"  # no schedule
    assert "No run is under way." in ended.out
    assert not state.exists()  # to ask changes nothing


def test_what_went_well_is_shown_with_its_tags_and_when_it_is_due(puller: Puller, config: Path, tmp_path: Path) -> None:
    state, started = tmp_path / "state", time.time() - 3600
    items = [item("debian", "12"), item("debian", "13"), item("redis", "7"), item("team/a", "1", to="oci:/srv/team/a")]
    ran(state, config, started, items)
    ended = puller("status", str(config), "--state", str(state))
    assert ended.code == 0
    rows = ended.out.splitlines()
    assert f"{datetime.fromtimestamp(started, UTC):%Y-%m-%d %H:%M}" in rows[1]
    assert "well: 2 new" in rows[1]
    assert rows[1].split()[-3] == "2"
    assert "well: 1 new" in rows[3]
    assert rows[3].split()[-2:] == ["1", "-"]


def test_failures_are_shown_with_their_reasons(puller: Puller, config: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    ran(state, config, time.time() - 60, [item("debian", "12"), item("redis", "7", failed=True)])
    ended = puller("status", str(config), "--state", str(state))
    assert ended.code == 1
    assert "failed: 1 failure" in ended.out
    assert "  up.example/redis:7: no such manifest [NotFound], host up.example" in ended.out
    assert "well: 1 new" in ended.out


def test_what_can_be_done_about_failures_is_shown_once(puller: Puller, config: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    items = [replace(item("redis", tag, failed=True), error=ERROR | {"hint": "Look."}) for tag in ("6", "7")]
    ran(state, config, time.time() - 60, items)
    lines = puller("status", str(config), "--state", str(state)).out.splitlines()
    assert "failed: 2 failures" in lines[2]
    assert [line for line in lines if line.startswith("  ")][2:] == ["  Look."]


def test_a_tag_that_failed_counts_once_whatever_was_to_become_of_it(
    puller: Puller, config: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    ran(state, config, time.time() - 60, [replace(item("debian", "12", failed=True), action="new")])
    ended = puller("status", str(config), "--state", str(state))
    assert "failed: 1 failure " in ended.out
    found = json.loads(puller("status", "--json", str(config), "--state", str(state)).out)
    assert found["mirrors"][0]["counts"] == {"failed": 1}


def test_each_mirror_shows_its_own_last_run(puller: Puller, config: Path, tmp_path: Path) -> None:
    state, now = tmp_path / "state", time.time()
    ran(state, config, now - 7200, [item("redis", "7", failed=True)], only=(0, 1, 2))
    ran(state, config, now - 60, [item("debian", "12")], only=(0,))
    found = json.loads(puller("status", "--json", str(config), "--state", str(state)).out)
    debian, redis, _ = found["mirrors"]
    assert (debian["run"], debian["well"], debian["failures"]) == (f"run-{now - 60}", True, [])
    assert (redis["run"], redis["well"]) == (f"run-{now - 7200}", False)
    assert redis["failures"] == [{"about": "up.example/redis:7", "error": ERROR}]


def test_the_last_run_of_a_mirror_is_told_however_often_others_ran_since(
    puller: Puller, config: Path, tmp_path: Path
) -> None:
    state, now = tmp_path / "state", time.time()
    ran(state, config, now - 7200, [item("redis", "7", failed=True)])
    for number in range(REPORTS_KEPT + 5):
        ran(state, config, now - 3600 + number, [item("debian", "12")], only=(0,))
    found = json.loads(puller("status", "--json", str(config), "--state", str(state)).out)
    assert found["mirrors"][1]["failures"] == [{"about": "up.example/redis:7", "error": ERROR}]


def test_json_has_all_of_it(puller: Puller, config: Path, tmp_path: Path) -> None:
    state, started = tmp_path / "state", time.time() - 600
    ran(state, config, started, [item("debian", "12")])
    ended = puller("status", "--json", str(config), "--state", str(state))
    found = json.loads(ended.out)
    assert (found["schema"], found["well"], found["running"]) == (1, True, None)
    debian = found["mirrors"][0]
    assert debian["last"] == {"started": started, "ended": started + 60}
    assert debian["due"] == pytest.approx(started + 6 * 3600)
    assert (debian["schedule"], debian["counts"]) == ("every 6h", {"new": 1})
    assert debian["tags"] == {"down.example/debian": 1}


def test_a_run_under_way_is_told(puller: Puller, config: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with only_run(state):
        text = puller("status", str(config), "--state", str(state)).out
        found = json.loads(puller("status", "--json", str(config), "--state", str(state)).out)
    assert f"A run is under way: process {os.getpid()}" in text
    assert found["running"]["pid"] == os.getpid()


def test_a_run_that_was_killed_is_told(puller: Puller, config: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with State.open(state) as opened:
        opened.begin("run", str(config), time.time())
    assert "did not come to its end" in puller("status", str(config), "--state", str(state)).out


def test_c22_nothing_of_a_report_can_act_on_the_terminal(puller: Puller, config: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    error = {"error": "NotFound", "what": "no such \x1b[2J manifest"}
    ran(state, config, time.time(), [], problems=(("up.example/redis", error),))
    ended = puller("status", str(config), "--state", str(state))
    assert "no such" in ended.out
    assert "\x1b" not in ended.out


def test_h6_a_report_that_is_none_is_not_there(puller: Puller, config: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    ran(state, config, time.time(), [item("debian", "12")])
    with sqlite3.connect(state / "state.db") as database:
        database.execute("UPDATE reports SET report = ?", (b"no report",))
    database.close()
    ended = puller("status", str(config), "--state", str(state))
    assert ended.code == 0
    assert "1 new" not in ended.out
    assert ended.out.splitlines()[1].split()[-5:-3] == [*ended.out.splitlines()[1].split()[-5:-4], "well"]


def test_a_wrong_configuration_is_an_error_of_words(puller: Puller, tmp_path: Path) -> None:
    file = tmp_path / "mirrors.yaml"
    file.write_text("puller: 1\nmirrors:\n  - {from: x}\n")
    ended = puller("status", str(file), "--state", str(tmp_path / "state"))
    assert ended.code == 2
    assert f"{file}:3" in ended.err
