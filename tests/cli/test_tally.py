"""Tally: live on a terminal, a line now and then elsewhere."""

import io

import pytest

from puller.cli.screen import PLAIN_INTERVAL
from puller.cli.tally import LIVE_INTERVAL, Tally
from puller.model.digest import Digest

DIGEST = Digest.of(b"x")


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def told(out: io.StringIO, *times: float) -> str:
    """What is written about one blob of a kilobyte at each of `times`, counting from nought."""
    clock = iter((0.0, *times))
    with Tally("verified", out=out, clock=lambda: next(clock)) as tally:
        for _ in times:
            tally.add(DIGEST, 1_000)
    return out.getvalue()


def test_a_log_gets_a_line_every_few_seconds() -> None:
    late = told(io.StringIO(), PLAIN_INTERVAL / 2, PLAIN_INTERVAL, PLAIN_INTERVAL * 1.5, PLAIN_INTERVAL * 2)
    assert late.splitlines() == ["verified 2 blobs, 2.0 kB so far", "verified 4 blobs, 4.0 kB so far"]


def test_a_short_look_tells_a_log_nothing() -> None:
    assert told(io.StringIO(), PLAIN_INTERVAL * 0.9) == ""


@pytest.mark.parametrize("times", [(), (LIVE_INTERVAL, LIVE_INTERVAL * 2)], ids=["nothing", "something"])
def test_a_terminal_is_left_with_an_empty_line(times: tuple[float, ...]) -> None:
    assert told(Terminal(), *times).endswith("\r\x1b[K")


def test_a_terminal_sees_one_line_change() -> None:
    text = told(Terminal(), LIVE_INTERVAL, LIVE_INTERVAL * 2)
    assert "verified 2 blobs, 2.0 kB so far" in text
    assert "\n" not in text
