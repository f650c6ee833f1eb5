"""Names taken apart."""

import pytest

from puller.errors import InvalidArchive, LimitExceeded, PullerError, UnsafePath
from puller.rootfs.name import components, joined, shown


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (b"", ()),
        (b".", ()),
        (b"/", ()),
        (b"./", ()),
        (b"//./.", ()),
        (b"a", (b"a",)),
        (b"/a", (b"a",)),
        (b"a/", (b"a",)),
        (b"./a//b/./c/", (b"a", b"b", b"c")),
        (b"..a/b..", (b"..a", b"b..")),
        (b"...", (b"...",)),
        (b"a\\b", (b"a\\b",)),
        (b"\xff\n", (b"\xff\n",)),
        (b"x" * 255, (b"x" * 255,)),
        (b"a/" * 2048, (b"a",) * 2048),
    ],
)
def test_names_are_the_parts_below_the_root(name: bytes, parts: tuple[bytes, ...]) -> None:
    assert components(name) == parts


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (b"..", UnsafePath),
        (b"a/..", UnsafePath),
        (b"../a", UnsafePath),
        (b"/..", UnsafePath),
        (b"a/../a", UnsafePath),
        (b"a\0b", InvalidArchive),
        (b"x" * 256, LimitExceeded),
        (b"a/" * 2048 + b"b", LimitExceeded),
    ],
)
def test_names_no_honest_layer_holds_are_refused(name: bytes, error: type[PullerError]) -> None:
    with pytest.raises(error):
        components(name)


def test_paths_are_joined_below_the_root() -> None:
    assert (joined(b"", b"a"), joined(b"a/b", b"c")) == (b"a", b"a/b/c")


def test_names_that_are_no_text_can_be_shown() -> None:
    assert shown(b"a\xff\xc3\xa9") == "a\\xffé"
