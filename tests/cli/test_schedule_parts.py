"""What a scheduled sync is made of at the command line: time zones, kept reports, numbers, words."""

import io
import json
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from puller.cli.metering import families, pages
from puller.cli.reportdir import ReportDir
from puller.cli.scheduling import tell
from puller.cli.zone import local_zone
from puller.errors import InvalidConfig
from puller.model.event import Settled
from puller.model.sync import Carried, Item, SyncReport
from puller.ops.syncing.tallies import Tallies
from puller.ops.syncing.turns import keyed
from puller.web.exposition import exposition
from tests.ops.syncing.watchful import HOUR, NOON, key, mirror

SUMMER = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("variable", ["Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin"])
def test_the_zone_is_that_of_the_variable(variable: str, tmp_path: Path) -> None:
    assert SUMMER.astimezone(local_zone(variable, tmp_path / "none")).hour == 14


@pytest.mark.parametrize("variable", ["", ":", "UTC", "UTC0"])
def test_an_empty_variable_is_utc_whatever_the_machine_has(variable: str, tmp_path: Path) -> None:
    machine = tmp_path / "localtime"
    machine.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    assert SUMMER.astimezone(local_zone(variable, machine)).hour == 12


def test_without_the_variable_it_is_the_machines(tmp_path: Path) -> None:
    linked, copied = tmp_path / "linked", tmp_path / "copied"
    linked.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    copied.write_bytes(Path("/usr/share/zoneinfo/Asia/Tokyo").read_bytes())
    assert str(local_zone(None, linked)) == "Asia/Tokyo"
    for machine in (linked, copied):
        assert SUMMER.astimezone(local_zone(None, machine)).hour == 21
    assert local_zone(None, tmp_path / "none") is UTC


@pytest.mark.parametrize(
    "variable", ["Europe/Nowhere", "../../etc/passwd", "CET-1CEST,M3.5.0,M10.5.0/3", "/dev/null", "x\0y"]
)
def test_a_zone_that_is_not_known_is_refused_and_not_taken_for_utc(variable: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig):
        local_zone(variable, tmp_path / "none")


def report(number: int) -> SyncReport:
    return SyncReport(f"20260110T{number:06}Z-00ab", "sync.yml", NOON, NOON + 1)


def test_the_latest_reports_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    folder = ReportDir(tmp_path / "reports", keep=3)
    folder.check()
    (tmp_path / "reports" / "sync-notes.json").write_text("mine")
    (tmp_path / "reports" / ".sync-20260110T000000Z-00ab.json.0123abcd.unfinished").write_text("of a kill")
    for number in range(5):
        folder.write(report(number))
    names = sorted(path.name for path in (tmp_path / "reports").iterdir())
    assert names == [*(f"sync-20260110T{number:06}Z-00ab.json" for number in (2, 3, 4)), "sync-notes.json"]
    assert json.loads((tmp_path / "reports" / names[0]).read_text())["run"] == report(2).run


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir(mode=0o500)
    with pytest.raises(InvalidConfig, match="reports cannot be written"):
        ReportDir(tmp_path / "reports").check()


def test_a_file_is_no_folder_for_reports(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    with pytest.raises(InvalidConfig, match="reports cannot be written"):
        ReportDir(tmp_path / "reports").check()
    with pytest.raises(InvalidConfig, match="cannot be written"):
        ReportDir(tmp_path / "gone").write(report(1))


def numbers(text: str) -> Mapping[str, float]:
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines()) if name[0] != "#"
    }


def counted() -> Tallies:
    error = {"error": "NotFound", "what": "no such tag"}
    carried = Carried("sha256:", fetched=7, sent=9)
    items = (
        Item("up.example/a", "1", "down.example/a", "1", "new", "", carried=carried),
        Item("up.example/a", "secret-tag", "down.example/a", "secret-tag", "failed", "", error=error),
    )
    run = SyncReport("r", "c", NOON, NOON + 60, items, requests={"up.example": {"HEAD": 2}})
    tallies = Tallies(NOON - HOUR)
    tallies.count(run, keyed([mirror("a")]))
    tallies.planned({key("a"): NOON + HOUR})
    return tallies


def test_the_numbers_of_a_run_are_told_by_mirror_and_never_by_tag() -> None:
    text = exposition(families(counted(), 2))
    label = f'mirror="{key("a")}"'
    expected = {
        f'puller_sync_runs_total{{{label},result="failed"}}': 1,
        f'puller_sync_runs_total{{{label},result="well"}}': 0,
        f'puller_sync_skipped_total{{{label},reason="overlap"}}': 0,
        f'puller_sync_tags_total{{{label},action="new"}}': 1,
        f'puller_sync_bytes_total{{{label},way="fetched"}}': 7,
        f'puller_sync_bytes_total{{{label},way="sent"}}': 9,
        f"puller_sync_failures_total{{{label}}}": 1,
        f"puller_sync_last_run_failures{{{label}}}": 1,
        f"puller_sync_last_run_well{{{label}}}": 0,
        f"puller_sync_last_run_end_time_seconds{{{label}}}": NOON + 60,
        f"puller_sync_next_run_time_seconds{{{label}}}": NOON + HOUR,
        'puller_sync_requests_total{host="up.example",method="HEAD"}': 2,
        "puller_sync_run_duration_seconds_sum": 60,
        "puller_sync_run_duration_seconds_count": 1,
        "puller_sync_images_under_way": 2,
        "puller_sync_running": 0,
    }
    assert expected.items() <= numbers(text).items()
    assert "secret-tag" not in text
    assert "last_success_time_seconds{" not in text  # it never went well


def test_every_name_follows_the_custom_of_prometheus() -> None:
    for family in families(counted(), 0):
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert re.fullmatch(r"puller_[a-z_]+", family.name)
        assert family.meaning.endswith(".")


def test_the_run_under_way_is_told() -> None:
    tallies = Tallies(NOON)
    tallies.begin([key("a")], NOON)
    for _ in range(3):
        tallies.stir(Settled(Item("s", "t", "d", "t", "new", "")), NOON)
    found = numbers(exposition(families(tallies, 0)))
    assert (found["puller_sync_running"], found["puller_sync_run_tags_settled"]) == (1, 3)
    assert found["puller_sync_run_start_time_seconds"] == NOON


def test_health_is_a_status_and_the_reasons() -> None:
    tallies = counted()
    tallies.beat = NOON
    now = [NOON + 1]
    healthz = pages(tallies, under_way=lambda: 0, clock=lambda: now[0])["/healthz"]
    assert healthz().status == 200
    assert json.loads(healthz().text)["well"] is True
    now[0] = NOON + 3 * HOUR
    ill = healthz()
    assert ill.status == 503
    assert [one["what"] for one in json.loads(ill.text)["wrong"]] == ["the loop stands still", "mirrors are overdue"]


class Gone(io.StringIO):
    """Whoever has read this does so no more."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_that_nobody_reads_what_a_daemon_says_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Gone())
    tell("ending")
