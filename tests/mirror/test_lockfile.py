"""Lock files: read back as they were written, the same bytes for the same lock, and nothing else is taken for one."""

import json

import pytest

from puller.errors import InvalidConfig
from puller.mirror.lockfile import Lock
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCI_INDEX, OCI_MANIFEST, SCHEMA1_SIGNED
from puller.model.reference import Reference

A, B = Digest.of(b"a"), Digest.of(b"b")
DEBIAN = Reference.parse("docker.io/library/debian:12")
LOCK = Lock(
    {
        DEBIAN: Descriptor(OCI_INDEX, A, 1234),
        Reference.parse(f"ghcr.io/team/app@{B}"): Descriptor(OCI_MANIFEST, B, 99),
        Reference.parse("old.example/app:1"): Descriptor(SCHEMA1_SIGNED, B),
    }
)


def changed(**changes: object) -> bytes:
    """The file with one entry whose members are changed; None takes one away."""
    document = json.loads(Lock({DEBIAN: Descriptor(OCI_INDEX, A, 1234)}).encode())
    entry = document["images"][str(DEBIAN)] | changes
    document["images"][str(DEBIAN)] = {key: value for key, value in entry.items() if value is not None}
    return json.dumps(document).encode()


def test_a_lock_is_read_back_as_it_was_written() -> None:
    assert Lock.decode(LOCK.encode(), "puller.lock") == LOCK
    assert Lock.decode(Lock().encode(), "puller.lock") == Lock()


def test_the_same_lock_is_the_same_bytes_with_a_line_for_each_name() -> None:
    turned = Lock(dict(reversed(list(LOCK.images.items()))))

    assert turned.encode() == LOCK.encode()
    lines = LOCK.encode().decode().splitlines()
    assert [line.strip().split('": {')[0].strip('"') for line in lines if str(A) in line or str(B) in line] == [
        "docker.io/library/debian:12",
        f"ghcr.io/team/app@{B}",
        "old.example/app:1",
    ]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "not valid JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "no lock file"),
        (b'{"puller-lock": 2, "images": {}}', "no lock file"),
        (b'{"puller-lock": 1}', "images must be an object"),
        (b'{"puller-lock": 1, "images": {}, "more": 1}', "unknown key"),
        (b'{"puller-lock": 1, "images": {"a": {}, "a": {}}}', "not valid JSON"),
        (changed(digest="sha256:00"), "invalid digest"),
        (changed(digest=None), "digest must be a string"),
        (changed(mediaType="nonsense"), "invalid mediaType"),
        (changed(size=-1), "size must be a size"),
        (changed(urls=["http://evil.example"]), "unknown key"),
    ],
)
def test_h6_what_is_no_lock_file_is_refused_and_the_file_named(raw: bytes, what: str) -> None:
    with pytest.raises(InvalidConfig, match=what) as caught:
        Lock.decode(raw, "some/puller.lock")

    assert "some/puller.lock" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "debian:12",
        "docker.io/library/debian",
        f"docker.io/library/debian:12@{A}",
        "docker.io/../x:1",
        "docker.io/a:b c",
    ],
)
def test_names_that_are_not_full_or_say_two_things_are_refused(name: str) -> None:
    raw = changed().decode().replace(str(DEBIAN), name).encode()

    with pytest.raises(InvalidConfig):
        Lock.decode(raw, "puller.lock")


def test_a_digest_that_contradicts_its_own_name_is_refused() -> None:
    raw = changed().decode().replace(str(DEBIAN), f"docker.io/library/debian@{B}").encode()

    with pytest.raises(InvalidConfig, match="contradicts its name"):
        Lock.decode(raw, "puller.lock")
