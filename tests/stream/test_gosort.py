"""go_sort: what any sort must do, and what only Go 1.5's does. Its exact order is proved by the dup_* vectors."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.stream.gosort import PULSE_EVERY, go_sort


@given(st.lists(st.integers()))
def test_a_consistent_order_is_sorted_like_anywhere_else(numbers: list[int]) -> None:
    expected = sorted(numbers)
    go_sort(numbers, lambda a, b: a < b)
    assert numbers == expected


def test_long_lists_take_the_ninther_and_still_sort() -> None:
    numbers = random.Random(5).choices(range(1000), k=5000)
    expected = sorted(numbers)
    go_sort(numbers, lambda a, b: a < b)
    assert numbers == expected


def test_an_adversary_who_spoils_every_pivot_ends_in_the_heap_sort() -> None:
    comparisons = 0
    items = list(range(2000))
    solid: dict[int, int] = {}
    candidate = 0

    def less(a: int, b: int) -> bool:
        # McIlroy, "A Killer Adversary for Quicksort": values are decided as late as can be.
        nonlocal comparisons, candidate
        comparisons += 1
        if a not in solid and b not in solid:
            solid[a if a == candidate else b] = len(solid)
        if a not in solid:
            candidate = a
        elif b not in solid:
            candidate = b
        return solid.get(a, len(items)) < solid.get(b, len(items))

    go_sort(items, less)
    values = [solid.get(item, len(items)) for item in items]
    assert values == sorted(values)
    assert comparisons < 40 * 2000 * 11  # a quicksort without the heap would need two million


def test_every_few_thousand_comparisons_have_their_pulse() -> None:
    comparisons = pulses = 0

    def less(a: int, b: int) -> bool:
        nonlocal comparisons
        comparisons += 1
        return a < b

    def pulse() -> None:
        nonlocal pulses
        pulses += 1

    go_sort(random.Random(6).choices(range(9), k=20_000), less, pulse=pulse)
    assert pulses == comparisons // PULSE_EVERY > 4


def test_what_the_pulse_raises_ends_the_sort() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go_sort(list(range(20_000)), lambda a, b: a < b, pulse=stop)


def test_equal_elements_do_not_keep_their_order() -> None:
    pairs = [(i % 3, i) for i in range(60)]
    go_sort(pairs, lambda a, b: a[0] < b[0])
    assert [key for key, _ in pairs] == [0] * 20 + [1] * 20 + [2] * 20
    assert pairs != sorted(pairs)
