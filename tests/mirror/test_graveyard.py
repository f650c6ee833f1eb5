"""Tombstones outlive what befalls the state, and are read back as they were written, or not at all."""

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from puller.mirror import graveyard
from puller.mirror.known import UNDO_WINDOW, Undoable
from puller.mirror.state import State
from puller.model.mediatype import SCHEMA1_MANIFESTS
from tests.mirror.remembered import GRAVE, OTHER


def test_what_is_buried_is_there_until_it_is_exhumed(state: State, folder: Path) -> None:
    moved = replace(GRAVE, kind="overwritten", at=GRAVE.at + 5)
    state.bury(GRAVE)
    state.bury(moved)
    state.bury(replace(GRAVE, run="r2", at=GRAVE.at + 60))
    assert state.tombstones("r1") == [GRAVE, moved]
    assert state.undoable() == [Undoable("r2", GRAVE.at + 60, 1, 0), Undoable("r1", GRAVE.at, 1, 1)]
    state.exhume(GRAVE)
    state.exhume(GRAVE)
    assert state.tombstones("r1") == [moved]
    with State.read(folder) as again:
        assert again.tombstones("r1") == [moved]
        assert [one.run for one in again.buried_at(GRAVE.target)] == ["r1", "r2"]
        assert again.buried_at("elsewhere") == []


def test_of_one_tag_and_run_the_first_tombstone_stays(state: State) -> None:
    state.bury(GRAVE)
    state.bury(replace(GRAVE, root=OTHER, raw=b"other"))
    assert state.tombstones("r1") == [GRAVE]


def test_a_manifest_whose_digest_is_that_of_its_payload_can_be_buried(state: State, folder: Path) -> None:
    signed = replace(GRAVE, media_type=sorted(SCHEMA1_MANIFESTS)[0], root=OTHER)
    state.bury(signed)
    with State.open(folder) as again:
        assert (again.tombstones("r1"), again.warnings) == ([signed], ())


def test_tombstones_that_undo_does_not_reach_back_to_are_dropped(state: State, folder: Path) -> None:
    state.bury(GRAVE)
    late = replace(GRAVE, run="r2", at=GRAVE.at + 60)
    state.bury(late)
    state.begin("r3", "m", GRAVE.at + UNDO_WINDOW)
    assert state.tombstones("r1") == []
    assert state.tombstones("r2") == [late]
    state.bury(replace(GRAVE, run="r3"))
    assert (folder / graveyard.NAME).read_bytes().count(b"\n") == 2
    with State.open(folder) as again:
        assert [one.run for one in again.undoable()] == ["r2", "r3"]


def test_r1_a_line_that_a_crash_has_cut_off_takes_no_other_with_it(folder: Path) -> None:
    with State.open(folder) as state:
        state.bury(GRAVE)
        state.bury(replace(GRAVE, name="10"))
    path = folder / graveyard.NAME
    path.write_bytes(path.read_bytes()[:-20])
    with State.open(folder) as state:
        assert state.warnings == ()
        state.bury(replace(GRAVE, name="9"))
    with State.open(folder) as state:
        assert [one.name for one in state.tombstones("r1")] == ["11", "9"]


def test_h6_any_byte_of_the_tombstones_may_be_wrong(folder: Path) -> None:
    with State.open(folder) as state:
        state.bury(GRAVE)
        state.bury(replace(GRAVE, name="10"))
    path = folder / graveyard.NAME
    raw = path.read_bytes()
    for place in range(len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 0x01]) + raw[place + 1 :])
        with State.open(folder) as state:
            standing = state.tombstones("r1")
            assert all(one in (GRAVE, replace(GRAVE, name="10")) for one in standing)
            assert len(standing) == 1 or place in (raw.index(b"\n"), len(raw) - 1)


def test_h6_tombstones_that_cannot_be_read_are_said_aloud(folder: Path) -> None:
    with State.open(folder) as state:
        state.bury(GRAVE)
        state.bury(replace(GRAVE, name="10"))
    path = folder / graveyard.NAME
    path.write_bytes(path.read_bytes().replace(b'"name":"11"', b'"name":"12"'))
    with State.open(folder) as state:
        assert state.warnings == (
            f"1 of the tombstones in {folder} cannot be read: what they kept cannot be brought back",
        )


@pytest.mark.parametrize("exhumed", [5, None, {}, "x", [1, 2], [["r"], "t", "n", "pruned"]])
def test_h6_a_line_of_tombstones_that_says_nonsense_is_passed_over(folder: Path, exhumed: object) -> None:
    with State.open(folder) as state:
        state.bury(GRAVE)
    text = json.dumps({"exhumed": exhumed}).encode()
    with (folder / graveyard.NAME).open("ab") as file:
        file.write(b"%08x %s\n" % (zlib.crc32(text), text))
    with State.open(folder) as state:
        assert state.tombstones(GRAVE.run) == [GRAVE]
        assert "1 of the tombstones" in state.warnings[0]
