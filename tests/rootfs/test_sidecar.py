"""The file beside a tree: what goes in comes out, whatever its bytes, and damage is never overlooked."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import ContentCorrupt, LimitExceeded, NoSpace
from puller.model.alteration import Alteration, Altered, What
from puller.rootfs.sidecar import SidecarWriter, encode, read_sidecar

WHATS: tuple[What, ...] = ("owner", "mode", "mtime", "xattr", "device", "entry")
OWNER = Alteration(b"etc/shadow", "owner", "0:42", "needs a right")


@contextmanager
def created(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def written(path: Path, *alterations: Alteration) -> tuple[Altered, ...]:
    with created(path) as fd:
        writer = SidecarWriter(fd)
        for alteration in alterations:
            writer.add(alteration)
        return writer.finish()


@given(st.binary().map(lambda path: path.translate(None, b"\0.")), st.sampled_from(WHATS), st.binary(), st.text())
def test_any_bytes_survive(path: bytes, what: What, value: bytes, reason: str) -> None:
    alteration = Alteration(path, what, value.decode(errors="surrogateescape"), reason.encode(errors="ignore").decode())
    line = encode(alteration)
    assert line.isascii()
    assert line.count(b"\n") == 1
    fd = os.memfd_create("sidecar")
    try:
        os.write(fd, line)
        assert list(read_sidecar(fd)) == [alteration]
    finally:
        os.close(fd)


def test_they_come_back_in_the_order_they_were_told(tmp_path: Path) -> None:
    told = [Alteration(b"%d" % number, "mode", "0o644", "x" * 100) for number in range(2000)]
    written(tmp_path / "s", *reversed(told))
    assert list(read_sidecar(tmp_path / "s")) == told[::-1]


def test_much_is_written_before_the_end(tmp_path: Path) -> None:
    with created(tmp_path / "s") as fd:
        writer = SidecarWriter(fd)
        for _ in range(2000):
            writer.add(OWNER)
        assert (tmp_path / "s").stat().st_size > 100_000


def test_the_summary_counts_each_reason_and_gives_three_examples(tmp_path: Path) -> None:
    told = [Alteration(b"d/%d" % number, "owner", "1:1", "no right") for number in range(5)]
    found = written(tmp_path / "s", *told, Alteration(b"", "mode", "0o0", "no right"))
    assert found == (
        Altered("mode", "no right", 1, ("/",)),
        Altered("owner", "no right", 5, ("d/0", "d/1", "d/2")),
    )


def test_c22_examples_hold_nothing_a_terminal_acts_on(tmp_path: Path) -> None:
    (found,) = written(tmp_path / "s", Alteration(b"\x1b[2J\xff", "mode", "0o0", ""))
    assert found.examples == ("\\x1b[2J\\xff",)


def test_the_form_is_the_documented_one() -> None:
    assert encode(OWNER) == b'{"path":"etc/shadow","what":"owner","value":"0:42","reason":"needs a right"}\n'
    assert encode(Alteration(b"\xff", "xattr", "user.\udcfe=00", "r")) == (
        b'{"path_base64":"/w==","what":"xattr","value_base64":"dXNlci7+PTAw","reason":"r"}\n'
    )


@pytest.mark.parametrize(
    "damaged",
    [
        encode(OWNER)[:-1],
        encode(OWNER)[:-9] + b"\n",
        b"\n",
        b"[]\n",
        b'{"path":"a","what":"colour","value":"","reason":""}\n',
        b'{"path":"a","what":["owner"],"value":"","reason":""}\n',
        b'{"path":"a","what":"owner","value":"","reason":1}\n',
        b'{"path":1,"what":"owner","value":"","reason":""}\n',
        b'{"what":"owner","value":"","reason":""}\n',
        b'{"path":"a","path_base64":"","what":"owner","value":"","reason":""}\n',
        b'{"path_base64":"*","what":"owner","value":"","reason":""}\n',
        b'{"path":"d/../../x","what":"owner","value":"","reason":""}\n',
        b'{"path":"a\\u0000","what":"owner","value":"","reason":""}\n',
    ],
)
def test_a_damaged_line_is_an_error_that_names_it(damaged: bytes, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(encode(OWNER) + damaged)
    found = read_sidecar(tmp_path / "s")
    assert next(found) == OWNER
    with pytest.raises(ContentCorrupt, match="line 2"):
        next(found)


def test_keys_of_later_versions_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(encode(OWNER)[:-2] + b',"since":"2027"}\n')
    assert list(read_sidecar(tmp_path / "s")) == [OWNER]


def test_a_full_disk_is_told_as_one() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        writer = SidecarWriter(fd)
        writer.add(OWNER)
        with pytest.raises(NoSpace):
            writer.finish()
    finally:
        os.close(fd)


def test_e9_a_layer_of_attributes_that_cannot_be_set_does_not_fill_disk_and_memory(tmp_path: Path) -> None:
    with created(tmp_path / "s") as fd:
        writer = SidecarWriter(fd, most=1 << 20)
        large = Alteration(b"f", "xattr", "trusted.x=" + "00" * 60_000, "no right")
        for _ in range(8):
            writer.add(large)
        with pytest.raises(LimitExceeded):
            writer.add(large)
        assert os.fstat(fd).st_size <= 1 << 20


def test_a_link_is_not_read(tmp_path: Path) -> None:
    written(tmp_path / "s", OWNER)
    (tmp_path / "link").symlink_to("s")
    with pytest.raises(OSError, match="symbolic links"):
        list(read_sidecar(tmp_path / "link"))
