"""How a change reads."""

import pytest

from puller.model.change import Change, Kind


@pytest.mark.parametrize(("kind", "letter"), [(Kind.ADDED, "A"), (Kind.MODIFIED, "C"), (Kind.DELETED, "D")])
def test_a_change_reads_as_docker_diff_has_it(kind: Kind, letter: str) -> None:
    assert str(Change(kind, b"etc/passwd")) == f"{letter} /etc/passwd"


def test_the_root_is_a_slash() -> None:
    assert str(Change(Kind.MODIFIED, b"")) == "C /"


def test_c22_a_path_cannot_move_the_cursor() -> None:
    assert str(Change(Kind.ADDED, b"a\x1b[1A\n\xff")) == "A /a\\x1b[1A\\x0a\\xff"
