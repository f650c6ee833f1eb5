"""What is written down of a plan comes back as it was; anything else is refused, with the way to what is wrong."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import DigestMismatch, InvalidConfig
from puller.mirror import plan as plans
from puller.mirror.plan import Forecast, Plan
from puller.model.digest import Digest
from puller.model.sync import Carried, Item, Manner, Transfer

ONE, OTHER = str(Digest.of(b"one")), str(Digest.of(b"other"))
TRANSFER = Transfer(
    source="docker.io/library/debian",
    digest=ONE,
    media_type="application/vnd.oci.image.index.v1+json",
    size=8655,
    target="mirror.local:5000/debian",
    tag="bookworm",
    manner=Manner(("linux/amd64", "linux/arm/v7"), "rewritten", referrers=True, verify="deep"),
    replaces=OTHER,
    backup="old-bookworm",
)
NEW = Item(
    source="docker.io/library/debian",
    tag="bookworm",
    target="mirror.local:5000/debian",
    name="bookworm",
    action="changed",
    why="moved from 0123 to 4567",
    digest=ONE,
    there=OTHER,
    transfer=TRANSFER,
    carried=Carried(ONE, 1, 2, 3, 4, 5, 6, 0.25, ("said aloud",)),
    line=12,
)
GONE = Item("docker.io/library/debian", "old", "oci:/srv/mirror", "old", "pruned", "not named", ONE, ONE, line=3)
ERROR = DigestMismatch("not what was promised", wanted=ONE, got=OTHER, attempts=3).facts()
FAILED = Item("docker.io/a", ONE, "store:/srv#docker.io/a", ONE, "failed", "no answer", error=ERROR)
FORECAST = Forecast({"docker.io": 5}, {"docker.io": 2}, {"docker.io": 1 << 40}, {"oci:/srv/mirror": 17}, 1)
PLAN = Plan("/etc/mirrors.yml", 1790000000.5, (NEW, GONE, FAILED), FORECAST)


def edited(path: list[str | int], value: Any) -> bytes:
    """The plan with another value at `path`, its checksum made to fit: as somebody writes it who knows how."""
    document = json.loads(PLAN.encode())
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    head = {name: document[name] for name in ("schema", "config", "made", "forecast")}
    document["sha256"] = plans._checksum(head, [plans._canonical(item) for item in document["items"]])
    return json.dumps(document).encode()


def test_a_plan_comes_back_as_it_was() -> None:
    assert Plan.decode(PLAN.encode(), "plan.json") == PLAN


def test_an_empty_plan_comes_back_as_it_was() -> None:
    plan = Plan("mirrors.yml", 0.0, ())
    assert Plan.decode(plan.encode(), "plan.json") == plan


def test_the_same_plan_is_the_same_bytes_and_has_a_line_for_each_tag() -> None:
    assert PLAN.encode() == Plan.decode(PLAN.encode(), "plan.json").encode()
    assert sum(line.startswith(b"  {") for line in PLAN.encode().splitlines()) == len(PLAN.items)


@given(st.text(max_size=60), st.sampled_from(["out", "unchanged", "waiting", "kept"]))
def test_any_reason_comes_back_as_it_was(why: str, action: Any) -> None:
    if any(0xD800 <= ord(character) < 0xE000 for character in why):
        return
    plan = replace(PLAN, items=(replace(GONE, why=why, action=action),))
    assert Plan.decode(plan.encode(), "plan.json") == plan


def test_a_plan_that_was_changed_by_hand_is_refused() -> None:
    raw = PLAN.encode().replace(b'"not named"', b'"not wanted"')
    with pytest.raises(InvalidConfig, match="changed after it was made"):
        Plan.decode(raw, "plan.json")


def test_white_space_makes_no_difference() -> None:
    assert Plan.decode(json.dumps(json.loads(PLAN.encode()), indent=4).encode(), "plan.json") == PLAN


def test_a_plan_without_one_of_its_lines_is_refused() -> None:
    lines = PLAN.encode().splitlines(keepends=True)
    gone = next(place for place, line in enumerate(lines) if b'"pruned"' in line)
    with pytest.raises(InvalidConfig, match="changed after it was made"):
        Plan.decode(b"".join(lines[:gone] + lines[gone + 1 :]), "plan.json")


WRONG: list[tuple[list[str | int], Any, str]] = [
    (["schema"], 2, "plan.json"),
    (["schema"], True, "plan.json"),
    (["config"], 5, "plan.json: config"),
    (["made"], "yesterday", "plan.json: made"),
    (["items"], {}, "plan.json: items"),
    (["items", 0], [], "plan.json: items[0]"),
    (["items", 0, "more"], 1, "plan.json: items[0].more"),
    (["items", 1, "action"], "destroyed", "plan.json: items[1].action"),
    (["items", 1, "digest"], "sha256:12", "plan.json: items[1].digest"),
    (["items", 1, "name"], "../../etc/cron.d/x", "plan.json: items[1].name"),
    (["items", 1, "name"], "a" * 129, "plan.json: items[1].name"),
    (["items", 1, "target"], "", "plan.json: items[1].target"),
    (["items", 1, "target"], "oci:/srv\n", "plan.json: items[1].target"),
    (["items", 1, "line"], -1, "plan.json: items[1].line"),
    (["items", 1, "there"], None, "plan.json: items[1].there"),
    (["items", 0, "transfer"], None, "plan.json: items[0].transfer"),
    (["items", 1, "transfer"], TRANSFER.encode(), "plan.json: items[1].transfer"),
    (["items", 0, "transfer", "tag"], "a/b", "plan.json: items[0].transfer.tag"),
    (["items", 0, "transfer", "size"], 1.5, "plan.json: items[0].transfer.size"),
    (["items", 0, "transfer", "size"], True, "plan.json: items[0].transfer.size"),
    (["items", 0, "transfer", "manner", "index"], "whole", "plan.json: items[0].transfer.manner.index"),
    (["items", 0, "transfer", "manner", "platforms"], ["a/b/c/d/e"], "transfer.manner.platforms[0]"),
    (["items", 0, "transfer", "manner", "referrers"], 1, "plan.json: items[0].transfer.manner.referrers"),
    (["items", 0, "carried", "sent"], -5, "plan.json: items[0].carried.sent"),
    (["forecast", "disk"], {"oci:/srv": "much"}, "plan.json: forecast.disk.oci:/srv"),
    (["forecast", "unknown"], None, "plan.json: forecast.unknown"),
]


@pytest.mark.parametrize(("path", "value", "where"), WRONG, ids=lambda value: str(value)[:40])
def test_h6_what_no_plan_says_is_refused_with_the_way_to_it(path: list[str | int], value: Any, where: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        Plan.decode(edited(path, value), "plan.json")
    assert str(caught.value.where).endswith(where)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'{"schema": 1}', b"\xff", b'{"schema": 1, "schema": 1}'])
def test_h6_what_is_no_plan_at_all_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidConfig) as caught:
        Plan.decode(raw, "plan.json")
    assert "plan.json" in str(caught.value.where)


def test_who_hands_in_a_configuration_is_told_where_plans_come_from() -> None:
    with pytest.raises(InvalidConfig, match="puller plan CONFIG -o PLAN"):
        Plan.decode(b"puller: 1\nmirrors: []\n", "mirrors.yaml")


def test_h6_a_plan_with_any_byte_flipped_is_refused() -> None:
    raw = replace(PLAN, items=(GONE,)).encode()
    for place in range(len(raw)):
        broken = bytearray(raw)
        broken[place] ^= 0x01
        try:
            assert Plan.decode(bytes(broken), "plan.json") == Plan.decode(raw, "plan.json")
        except InvalidConfig:
            continue
        assert bytes(broken[place : place + 1]).isspace() or raw[place : place + 1].isspace()
