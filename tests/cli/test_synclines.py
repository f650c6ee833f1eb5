"""What people read of a sync."""

from dataclasses import replace
from typing import Any

import pytest

from puller.cli.screen import Quiet
from puller.cli.synclines import (
    counts_text,
    failed_line,
    item_line,
    mirrored_line,
    plan_rows,
    stumbled_line,
    synced_line,
)
from puller.model.event import Mirrored, Settled, Stumbled
from puller.model.sync import Carried, Item, SyncReport

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
NEW = Item("up.example/app", "1", "down.example/app", "1", "new", "not there: named", digest=A)
BROUGHT = replace(NEW, carried=Carried(A, fetched=51_400_000, sent=51_400_000, brought=3, seconds=2.04))


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (BROUGHT, "new       up.example/app:1 → down.example/app:1  aaaaaaaaaaaa  51.4 MB fetched, 2.0 s"),
        (
            replace(BROUGHT, action="changed", carried=Carried(B, mounted=2, seconds=0.1)),
            "changed   up.example/app:1 → down.example/app:1  aaaaaaaaaaaa  as bbbbbbbbbbbb  2 blobs mounted, 0.1 s",
        ),
        (NEW, "new       up.example/app:1 → down.example/app:1  aaaaaaaaaaaa  not there: named"),
        (
            replace(NEW, action="pruned", why="not selected any more", there=B),
            "pruned    down.example/app:1  bbbbbbbbbbbb  not selected any more",
        ),
        (
            replace(NEW, tag=A, name=A),
            f"new       up.example/app@{A} → down.example/app@{A}  aaaaaaaaaaaa  not there: named",
        ),
        (
            replace(NEW, target="store:#up.example/app"),
            "new       up.example/app:1 → store:up.example/app:1  aaaaaaaaaaaa  not there: named",
        ),
        (
            replace(NEW, target="store:/srv#up.example/app", action="pruned", why="old"),
            "pruned    up.example/app:1 in store:/srv  old",
        ),
        (replace(NEW, action="unchanged"), None),
        (replace(NEW, action="out"), None),
        (replace(NEW, error={"error": "NotFound", "what": "gone"}), None),
    ],
)
def test_a_tag_is_one_line_where_it_is_not_as_it_was(item: Item, line: str | None) -> None:
    assert item_line(item) == line


def test_what_failed_is_one_line_with_what_is_known() -> None:
    error: dict[str, Any] = {"error": "NotFound", "what": "no such manifest", "host": "up.example", "hint": "Look."}
    assert failed_line(replace(NEW, error=error)) == (
        "failed    up.example/app:1 → down.example/app:1: no such manifest [NotFound], host up.example"
    )
    assert (
        stumbled_line("up.example/app", error)
        == "failed    up.example/app: no such manifest [NotFound], host up.example"
    )


def test_where_something_failed_is_told_as_it_is_typed() -> None:
    error = {"error": "ContentMissing", "what": "gone", "where": "store:#up.example/app"}
    assert failed_line(replace(NEW, target="store:#up.example/app", error=error)) == (
        "failed    up.example/app:1 → store:up.example/app:1: gone [ContentMissing], where store:up.example/app"
    )
    assert stumbled_line("store:/srv#up.example/app", error).startswith("failed    up.example/app in store:/srv: ")


def test_c22_nothing_in_a_line_can_act_on_a_terminal() -> None:
    error = {"error": "NotFound", "what": "\x1b[2Jgone", "got": "a\nb"}
    line = failed_line(replace(NEW, error=error))
    assert "\x1b" not in line
    assert "\n" not in line


def test_counts_leave_out_what_there_is_none_of() -> None:
    assert (
        counts_text({"unchanged": 3, "new": 1, "kept": 2}, 4)
        == "1 new, 3 unchanged, 2 held back from pruning, 4 failed"
    )
    assert counts_text({}) == ""


def test_a_mirror_in_sum() -> None:
    event = Mirrored("up.example/app", "down.example/app", 3, {"new": 1, "unchanged": 11, "pruned": 2}, 0, 1000, 2000)
    assert mirrored_line(event) == (
        "up.example/app → down.example/app: 12 tags: 1 new, 11 unchanged, 2 pruned; 1.0 kB fetched, 2.0 kB sent"
    )
    empty = Mirrored("up.example/app", "down.example/app", 3, {}, 0, 0, 0)
    assert mirrored_line(empty) == "up.example/app → down.example/app: 0 tags: nothing to do"
    assert mirrored_line(replace(empty, target="store:")).startswith("up.example/app → store: 0 tags")


def test_a_run_in_sum() -> None:
    gone = replace(NEW, action="pruned")
    report = SyncReport("r", "c", 10.0, 12.5, (BROUGHT, gone), requests={"up.example": {"HEAD": 2, "GET": 3}})
    assert synced_line(report) == (
        "synced  1 tag, 1 copied, 0 unchanged, 1 pruned, 0 failed, 51.4 MB fetched, 51.4 MB sent, 5 requests, 2.5 s"
    )
    once = replace(report, requests={"up.example": {"HEAD": 1}})
    assert ", 1 request, " in synced_line(once)
    assert synced_line(replace(report, problems=(("x", {}),))).startswith("synced in part  1 tag")
    assert synced_line(replace(report, error={"error": "NoSpace"})).startswith("not synced  ")


def test_a_plan_says_where_what_is_new_goes_and_where_something_would_go_away() -> None:
    items = [replace(NEW, action=action) for action in ("new", "unchanged", "pruned", "out")]
    rows = plan_rows(items, everything=True)
    assert [row[:2] for row in rows] == [
        ("new", "up.example/app:1 → down.example/app:1"),
        ("unchanged", "up.example/app:1 → down.example/app:1"),
        ("pruned", "down.example/app:1"),
        ("out", "up.example/app:1"),
    ]
    assert [row[0] for row in plan_rows(items, everything=False)] == ["new", "pruned"]


def test_a_plan_is_read_by_place_and_by_the_numbers_of_tags() -> None:
    tags = ["v1.10", "latest", "v1.9", "1", "v1.9-rc1", "v1"]
    items = [replace(NEW, tag=tag, name=tag) for tag in tags] + [replace(NEW, target="oci:/m")]
    shown = [row[1].partition(" → ") for row in plan_rows(items, everything=False)]
    assert [source.rpartition(":")[2] for source, _, target in shown if target.startswith("down.example")] == [
        *("1", "latest", "v1", "v1.9", "v1.9-rc1", "v1.10")
    ]
    assert shown[-1][2] == "oci:/m:1"


def test_of_tags_that_stay_for_one_reason_the_first_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Quiet()
    for name, why in (("1", "too many would go"), ("2", "too many would go"), ("3", "the list is empty")):
        screen.show(Settled(Item("up/app", name, "down/app", name, "kept", why)))
    told = capsys.readouterr().out.splitlines()
    assert told == ["kept      down/app:1  too many would go", "kept      down/app:3  the list is empty"]


def test_what_can_be_done_about_failures_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"error": "Unauthorized", "what": "nobody is known", "hint": "Log in first."}
    screen = Quiet()
    for tag in ("1", "2"):
        screen.show(Settled(replace(NEW, tag=tag, name=tag, error=error)))
    screen.show(Stumbled("up.example/app", error | {"hint": "Look \x1b[2J."}))
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("failed    up.example/app:1 → ")
    assert told[1] == "          Log in first."
    assert told[2].startswith("failed    up.example/app:2 → ")
    assert told[3:] == ["failed    up.example/app: nobody is known [Unauthorized]", "          Look \\x1b[2J."]
