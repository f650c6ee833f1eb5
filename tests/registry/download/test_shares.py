from contextlib import ExitStack

import pytest

from puller.registry.download.shares import QUIET, Shares


@pytest.mark.parametrize(
    ("total", "blobs", "wide", "each"),
    [
        (8, 1, 1, 7), (8, 2, 1, 6), (8, 3, 1, 5), (8, 3, 3, 2), (8, 8, 1, 1), (8, 9, 2, 1), (1, 1, 1, 1), (2, 1, 1, 1),
        (3, 1, 1, 2), (20, 2, 2, 9),
    ],
)  # fmt: skip
def test_every_blob_has_one_and_one_stays_free_and_the_rest_is_divided(
    total: int, blobs: int, wide: int, each: int
) -> None:
    shares = Shares(total)
    with ExitStack() as stack:
        for _ in range(blobs):
            stack.enter_context(shares.blob())
        for _ in range(wide):
            stack.enter_context(shares.wide())
        assert shares.each(0.0) == each


def test_what_ends_leaves_its_share_to_the_others() -> None:
    shares = Shares(8)
    with shares.blob(), shares.wide():
        with shares.blob(), shares.wide():
            assert shares.each(0.0) == 3
        assert shares.each(0.0) == 7


def test_a_host_that_throttles_is_left_in_quiet_for_a_while() -> None:
    shares = Shares(8)
    with shares.blob(), shares.wide():
        shares.throttled(100.0)
        assert shares.each(100.0 + QUIET - 1) == 1
        assert shares.each(100.0 + QUIET) == 7


def test_a_host_that_serves_no_ranges_is_remembered() -> None:
    shares = Shares(8)
    shares.refused("cdn.test")
    assert not shares.serves_ranges("cdn.test")
    assert shares.serves_ranges("other.test")
