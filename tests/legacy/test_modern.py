"""Configs of today from yesterday's histories, and folders for old readers: held to what a docker daemon made."""

import hashlib
import json
from typing import Any

import pytest

from puller.errors import InvalidManifest
from puller.legacy.modern import folders, is_throwaway, modern_config
from puller.model.config import parse_config
from puller.model.digest import Digest
from tests.recorded import contents

CASES: list[dict[str, Any]] = json.loads(contents("modern.tar.xz")["modern.json"])["cases"]
LAYER = Digest("sha256", "ab" * 32)
BASE = b'{"id":"b","created":"2015-01-01T00:00:00Z","container_config":{"Cmd":["one","two"]},"docker_version":"1.9.0"}'
EMPTY = b'{"id":"e","created":"2015-01-02T00:00:00Z","Throwaway":true}'


def named(case: dict[str, Any]) -> str:
    return str(case["name"])


def _diff_ids(case: dict[str, Any]) -> list[Digest]:
    return [Digest.parse(text) for text in case["diff_ids"]]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_schema_1_history_becomes_the_config_a_daemon_made_of_it(case: dict[str, Any]) -> None:
    config = modern_config([text.encode() for text in case["history"]], _diff_ids(case))
    assert config.decode() == case["config"]
    assert f"sha256:{hashlib.sha256(config).hexdigest()}" == case["image_id"]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_layers_of_a_config_get_the_folders_a_daemon_saved(case: dict[str, Any]) -> None:
    found = folders(case["config"].encode(), _diff_ids(case))
    assert [{"id": one.image_id, "json": one.json.decode()} for one in found] == case["folders"]
    assert [one.parent for one in found] == ["", *(one.image_id for one in found[:-1])]


def test_c19_history_and_layers_that_do_not_pair_up_are_refused() -> None:
    for history, layers in (([BASE], []), ([BASE], [LAYER, LAYER]), ([BASE, EMPTY], [LAYER, LAYER]), ([], [])):
        with pytest.raises(InvalidManifest, match="do not pair up"):
            modern_config(history, layers)


def test_a_layer_that_is_thrown_away_is_an_empty_entry_of_the_history() -> None:
    config = parse_config(modern_config([BASE, EMPTY], [LAYER]))
    assert [entry.empty_layer for entry in config.history] == [False, True]
    assert config.history[0].created_by == "one two"
    assert config.diff_ids == (LAYER,)


def test_the_mark_of_a_graph_image_is_kept_in_its_config_and_nothing_else_of_its_ids() -> None:
    text = BASE[:-1] + b',"parent":"p","parent_id":"q","layer_id":"r","Size":3}'
    assert json.loads(modern_config([text], [LAYER], graph_id="f" * 64))["id"] == "f" * 64
    plain = json.loads(modern_config([text], [LAYER]))
    assert plain.keys() == {"created", "container_config", "docker_version", "rootfs", "history"}


def test_an_image_of_nothing_but_thrown_away_layers_has_no_diff_ids() -> None:
    assert json.loads(modern_config([EMPTY], []))["rootfs"] == {"type": "layers"}


def test_throwaway_is_read_as_go_reads_it() -> None:
    assert is_throwaway(EMPTY)
    assert not is_throwaway(BASE)
    with pytest.raises(InvalidManifest, match="cannot unmarshal string into Go value of type bool"):
        is_throwaway(b'{"throwaway":"yes"}')


def test_a_config_that_docker_could_not_read_has_no_folders() -> None:
    with pytest.raises(InvalidManifest, match="cannot unmarshal number"):
        folders(b'{"author":1}', [LAYER])


def test_a_config_with_nulls_where_later_go_takes_them_is_read() -> None:
    raw = b'{"created":null,"config":{"Cmd":null,"StopTimeout":null,"Shell":null,"Healthcheck":null}}'
    (folder,) = folders(raw, [LAYER])
    assert json.loads(folder.json)["created"] == "0001-01-01T00:00:00Z"
