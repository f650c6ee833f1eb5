"""Remembered: a state with one of everything in it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from puller.mirror.known import Known, Tombstone, manner_text
from puller.mirror.state import State
from puller.model.digest import Digest
from puller.model.sync import Carried, Item, Manner, SyncReport

RAW = b'{"schemaVersion": 2}'
ONE, OTHER = str(Digest.of(RAW)), str(Digest.of(b"other"))
KNOWN = Known(
    target="mirror.local/debian",
    name="12",
    source="docker.io/library/debian",
    tag="bookworm",
    digest=ONE,
    media_type="application/vnd.oci.image.index.v1+json",
    size=8655,
    root=OTHER,
    manner=manner_text(Manner(("linux/amd64",), "single")),
    at=1790000000.25,
)
GRAVE = Tombstone(
    "r1", "mirror.local/debian", "11", ONE, "application/json", RAW, 1790000000.0, "pruned", "docker.io/d"
)
ITEM = Item("docker.io/d", "11", "mirror.local/debian", "11", "new", "not there", ONE, carried=Carried(ONE, fetched=5))
REPORT = SyncReport("r1", "mirrors.yml", 1790000000.0, 1790000060.0, (ITEM,), requests={"docker.io": {"HEAD": 1}})


def fill(folder: Path) -> None:
    with State.open(folder) as state:
        state.begin("r1", "mirrors.yml", 1790000000.0)
        state.remember(KNOWN)
        state.remember(replace(KNOWN, name="13", size=None))
        state.note_created(ONE, datetime(2026, 9, 1, tzinfo=UTC))
        state.unwanted_since("mirror.local/debian", "11", 1790000000.0)
        state.hold("mirror.local/debian", "12", ONE)
        state.note_last("debian", 1790000000.0, 1790000060.0, True)
        state.bury(GRAVE)
        state.end(REPORT)
