"""StoreLender: a layout that belongs to somebody else is only read, and only as far as it lets itself be read."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.errors import InvalidConfig, StoreUnusable
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from puller.store.lender import StoreLender

NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def wanted(raw: bytes) -> Descriptor:
    return Descriptor(OCTETS, Digest.of(raw), len(raw))


@pytest.fixture
def place() -> Iterator[Path]:
    """A layout of root's with two blobs, of which others may read one; not below pytest's own closed directory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        blobs = path / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        for raw, mode in ((b"open", 0o444), (b"closed", 0o400)):
            blob = blobs / Digest.of(raw).hex
            blob.write_bytes(raw)
            blob.chmod(mode)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        yield path


@pytest.fixture
def nobody() -> Iterator[None]:
    """Somebody without rights, for as long as the test runs."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def read(lender: StoreLender, raw: bytes) -> bytes | None:
    with lender.lent(wanted(raw)) as window:
        return None if window is None else os.pread(window.fd, window.size, window.start)


@ROOT_ONLY
def test_a_layout_of_somebody_else_is_read_as_far_as_that_is_allowed(place: Path, nobody: None) -> None:
    lender = StoreLender.open(place, "file:place")
    try:
        assert read(lender, b"open") == b"open"
        assert read(lender, b"missing") is None
        with pytest.raises(StoreUnusable, match="permission denied"):
            read(lender, b"closed")
    finally:
        lender.close()


@ROOT_ONLY
def test_a_layout_that_may_not_be_entered_is_a_wrong_word(place: Path, request: pytest.FixtureRequest) -> None:
    place.chmod(0o700)
    request.getfixturevalue("nobody")
    with pytest.raises(InvalidConfig, match=r"cannot be read|no OCI image layout"):
        StoreLender.open(place, "file:place")


def test_a_blob_that_has_gone_or_come_meanwhile_is_what_is_there_now(place: Path) -> None:
    lender = StoreLender.open(place, "file:place")
    try:
        blob = place / "blobs" / "sha256" / Digest.of(b"open").hex
        aside = blob.rename(place / "aside")
        assert read(lender, b"open") is None
        aside.rename(blob)
        assert read(lender, b"open") == b"open"
    finally:
        lender.close()
