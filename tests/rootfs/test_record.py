"""What is kept beside a layer."""

import json

import pytest

from puller.errors import ContentCorrupt
from puller.model.alteration import Altered
from puller.model.digest import Digest
from puller.rootfs.record import Record

RECORD = Record(
    "a" * 64, Digest.of(b"x"), 3, 5, 1024, (Altered("owner", "why", 2, ("a", "b")),), opaque=True, mark="user.o"
)


@pytest.mark.parametrize("record", [RECORD, Record(None, Digest.of(b"y"), 0, 0, 0)])
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert Record.decode(record.encode()) == record


@pytest.mark.parametrize("name", ["parent", "diff_id", "entries", "size", "unpacked_size", "altered", "opaque", "mark"])
def test_a_record_without_one_of_its_members_is_damaged(name: str) -> None:
    members = json.loads(RECORD.encode())
    del members[name]
    with pytest.raises(ContentCorrupt):
        Record.decode(json.dumps(members).encode())


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", RECORD.encode()[:-9], RECORD.encode().replace(b"sha256:", b"md5:")]
)
def test_what_is_no_record_is_damaged(raw: bytes) -> None:
    with pytest.raises(ContentCorrupt):
        Record.decode(raw)
