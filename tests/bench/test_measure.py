"""What a run costs is the run's own, not its parent's."""

import sys

import pytest

from bench.measure import RunFailed, measured

pytestmark = pytest.mark.slow  # many small tests: for `make test`

LARGE = 150_000_000


def test_a_program_that_takes_memory_is_seen_to_take_it() -> None:
    assert measured([sys.executable, "-c", f"bytearray({LARGE})"]).peak > LARGE


def test_the_memory_of_the_caller_is_not_counted() -> None:
    ballast = bytearray(b"x") * LARGE
    assert measured([sys.executable, "-c", "pass"]).peak < LARGE / 3
    del ballast


def test_processor_time_of_children_is_counted() -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    usage = measured(["sh", "-c", '"$0" -c "$1" && true', sys.executable, busy])
    assert usage.cpu >= 0.2


def test_a_failing_program_is_an_error_with_its_own_words() -> None:
    with pytest.raises(RunFailed, match="no such luck"):
        measured([sys.executable, "-c", "raise SystemExit('no such luck')"])


def test_a_failing_program_can_be_asked_for_its_status() -> None:
    assert measured([sys.executable, "-c", "raise SystemExit(3)"], check=False).status == 3
