"""pairs: what `*` stands for, and which mirrors come to one place."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from puller.errors import InvalidReference, PullerError
from puller.mirror.config import Mirror, Place, Prune
from puller.mirror.selection import NameRule
from puller.ops.syncing.pairs import Expansion, Lane, among, reached, target_of
from tests.ops.syncing.mirroring import Shelves
from tests.ops.syncing.story import mirror, patterns, tags


class Listener:
    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.troubles: list[tuple[Mirror, PullerError]] = []

    def trouble(self, mirror: Mirror, error: PullerError) -> None:
        self.troubles.append((mirror, error))


def expanded(
    *mirrors: Mirror, catalog: list[str] | None = None, only: list[Mirror] | None = None
) -> tuple[list[Lane], Listener]:
    shelves, heard = Shelves(), Listener()
    if catalog is not None:
        shelves.catalogs["up.example"] = catalog

    async def main() -> list[Lane]:
        return await Expansion(shelves, heard.warnings.append, heard.trouble).lanes(mirrors, among(only))

    return anyio.run(main), heard


def pairs(lanes: list[Lane]) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for lane in lanes for pair in lane.pairs]


def test_a_star_stands_for_any_part_of_a_name_and_comes_to_the_target() -> None:
    lanes, heard = expanded(
        mirror(source="up.example/team/*", target="down.example/all/*"),
        catalog=["team/app", "team/deep/er", "team", "other/app"],
    )
    assert pairs(lanes) == [
        ("up.example/team/app", "down.example/all/app"),
        ("up.example/team/deep/er", "down.example/all/deep/er"),
    ]
    assert heard.warnings == []


def test_a_directory_gets_what_the_star_stood_for_behind_its_name() -> None:
    lanes, _ = expanded(mirror(source="up.example/*", target="oci:/srv/mirror"), catalog=["team/app"])
    assert pairs(lanes) == [("up.example/team/app", "oci:/srv/mirror/team/app")]


def test_a_store_gets_names_as_they_are() -> None:
    one = replace(mirror(source="up.example/*"), target=Place("store", ""))
    lanes, _ = expanded(one, catalog=["app"])
    assert pairs(lanes) == [("up.example/app", "store:#up.example/app")]


def test_a_directory_is_absolute_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lanes, _ = expanded(mirror(target="oci:here"), mirror(source="up.example/b", target="oci:./x/../here"))
    assert [lane.target for lane in lanes] == [f"oci:{tmp_path}/here"]


def test_repositories_are_chosen_by_what_the_star_stands_for() -> None:
    rule = NameRule(patterns("team/.*"), patterns(".*/old"))
    lanes, heard = expanded(
        mirror(source="up.example/*", target="down.example/*", repositories=rule),
        catalog=["team/app", "team/old", "app"],
    )
    assert pairs(lanes) == [("up.example/team/app", "down.example/team/app")]
    assert heard.warnings == []


def test_patterns_that_no_repository_matches_are_warned_of() -> None:
    rule = NameRule(patterns("gone/.*"))
    _, heard = expanded(mirror(source="up.example/*", target="down.example/*", repositories=rule), catalog=["team/app"])
    assert heard.warnings == [
        "up.example/* names no repository",
        "up.example/*: no repository is allowed by gone/.*",
    ]


@pytest.mark.parametrize("name", ["../../etc", "a//b", "UPPER", "a/../b", ".", "a\nb", "x" * 300, "", "a/b:c"])
def test_a5_what_is_no_name_in_a_catalog_is_passed_over_and_told(name: str) -> None:
    lanes, heard = expanded(mirror(source="up.example/*", target="oci:/srv/mirror"), catalog=[name, "app"])
    assert pairs(lanes) == [("up.example/app", "oci:/srv/mirror/app")]
    assert len(heard.warnings) == (1 if name else 0)


@pytest.mark.parametrize("name", ["app/blobs/sha256", "app/index.json", "app/oci-layout/x", "blobs"])
def test_a6_no_repository_comes_to_lie_within_the_directory_of_another(name: str) -> None:
    lanes, heard = expanded(mirror(source="up.example/*", target="oci:/srv/mirror"), catalog=[name, "app", "app/b"])
    assert pairs(lanes) == [("up.example/app", "oci:/srv/mirror/app"), ("up.example/app/b", "oci:/srv/mirror/app/b")]
    assert [name in warning for warning in heard.warnings] == [True]
    lanes, _ = expanded(mirror(source="up.example/*", target="down.example/*"), catalog=[name])
    assert pairs(lanes) == [(f"up.example/{name}", f"down.example/{name}")]


def test_one_directory_has_one_name_however_the_star_is_written() -> None:
    one, two = (mirror(source=f"up.example/{star}", target="oci:/srv/mirror") for star in ("team*", "team/*"))
    lanes, _ = expanded(one, two, catalog=["team/app"])
    assert [lane.target for lane in lanes] == ["oci:/srv/mirror/app"]


def test_many_names_that_are_none_are_counted_and_not_all_told() -> None:
    _, heard = expanded(mirror(source="up.example/*", target="down.example/*"), catalog=[f"NO{n}" for n in range(1000)])
    assert heard.warnings[-2:] == [
        "the catalog of up.example lists 1000 names that are none",
        "up.example/* names no repository",
    ]
    assert len(heard.warnings) == 7


def test_a_catalog_that_cannot_be_had_is_trouble_for_its_mirror_alone() -> None:
    star = mirror(source="up.example/*", target="down.example/*")
    lanes, heard = expanded(star, mirror())
    assert pairs(lanes) == [("up.example/app", "down.example/app")]
    assert [(one, error.phase) for one, error in heard.troubles] == [(star, "catalog")]


def test_what_goes_to_one_place_is_one_lane_in_the_order_of_the_file() -> None:
    lanes, _ = expanded(mirror(), mirror(source="up.example/b"), mirror(source="up.example/c", target="down.example/c"))
    assert [[pair.source for pair in lane.pairs] for lane in lanes] == [
        ["up.example/app", "up.example/b"],
        ["up.example/c"],
    ]


def test_a_place_is_not_sure_where_a_catalog_may_have_named_more_for_it() -> None:
    star = mirror(source="up.example/*", target="down.example/*", line=9)
    lanes, _ = expanded(mirror(prune=Prune()), star)
    assert [lane.is_sure for lane in lanes] == [False]


def test_mirrors_that_are_not_run_are_looked_at_where_one_prunes_at_their_place() -> None:
    pruning, other = mirror(prune=Prune()), mirror(source="up.example/b", line=9)
    lanes, _ = expanded(pruning, other, only=[pruning])
    assert [pair.source for pair in lanes[0].others] == ["up.example/b"]
    lanes, _ = expanded(mirror(), other, only=[mirror()])
    assert lanes[0].others == ()


@pytest.mark.parametrize(
    ("one", "target", "is_reached"),
    [
        (mirror(), "down.example/app", True),
        (mirror(), "down.example/other", False),
        (mirror(source="up.example/*", target="down.example/x/*"), "down.example/x/a/b", True),
        (mirror(source="up.example/*", target="down.example/x/*"), "down.example/y/a", False),
        (mirror(source="up.example/*", target="oci:/srv"), "oci:/srv/a/b", True),
        (mirror(source="up.example/*", target="oci:/srv"), "oci:/srv", False),
        (replace(mirror(source="up.example/*"), target=Place("store", "/s")), "store:/s#up.example/a", True),
        (replace(mirror(source="up.example/*"), target=Place("store", "/s")), "store:/t#up.example/a", False),
    ],
)
def test_it_is_known_which_mirrors_may_come_to_a_place(one: Mirror, target: str, is_reached: bool) -> None:
    assert reached(one, {target, "elsewhere.example/x"}) == ({target} if is_reached else set())


def test_a_repository_is_no_mirror_of_itself() -> None:
    lanes, heard = expanded(mirror(target="up.example/app"))
    assert lanes == []
    assert [error.what for _, error in heard.troubles] == ["a repository is no mirror of itself"]
    renamed = mirror(target="up.example/app", renamed="stable", tags=tags("1"))
    assert [lane.target for lane in expanded(renamed)[0]] == ["up.example/app"]


@pytest.mark.parametrize(
    ("source", "target", "catalog", "brought"),
    [
        ("up.example/*", "up.example/copy/*", ["app", "copy/app"], ["app"]),
        ("up.example/team/*", "up.example/team/old/*", ["team/app", "team/old/app"], ["team/app"]),
        ("up.example/team/*", "up.example/*", ["team/app", "app"], ["team/app"]),
        ("up.example/*", "down.example/copy/*", ["app", "copy/app"], ["app", "copy/app"]),
    ],
)
def test_what_a_mirror_has_brought_within_its_own_pattern_is_not_brought_again(
    source: str, target: str, catalog: list[str], brought: list[str]
) -> None:
    lanes, _ = expanded(mirror(source=source, target=target), catalog=catalog)
    assert [pair[0].removeprefix("up.example/") for pair in pairs(lanes)] == brought


@pytest.mark.parametrize("name", ["up.example/*/*", "*.example/app"])
def test_one_star_is_all_and_not_in_a_host(name: str) -> None:
    _, heard = expanded(mirror(source=name, target="down.example/*"), catalog=["a/b"])
    ((_, error),) = heard.troubles
    assert type(error).__name__ == "InvalidConfig"


def test_a_name_that_grows_too_long_at_the_target_is_refused() -> None:
    with pytest.raises(InvalidReference):
        target_of(mirror(source="up.example/*", target="down.example/" + "x" * 200 + "/*"), "up.example/a", "y" * 100)


def test_a_digest_is_immutable_and_so_is_what_a_pattern_matches() -> None:
    more: dict[str, Any] = {"immutable": (re.compile(r"\d+\.\d+"),)}
    lanes, _ = expanded(mirror(**more))
    pair = lanes[0].pairs[0]
    assert [pair.is_immutable(tag) for tag in ("1.2", "latest", "sha256:" + "0" * 64)] == [True, False, True]
