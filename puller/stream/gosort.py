"""Go 1.5's sort.Sort: an unstable quicksort, whose order of equal and of contradictory elements is part of tarsum.

LEGACY.md a.3 describes it. Written for one use: a list is sorted in place by a `less` on its elements.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from puller.stream.sink import Pulse, unwatched

T = TypeVar("T")

INSERTION = 7  # parts up to this length are sorted by insertion
NINTHER = 40  # longer parts choose their pivot from nine elements
PULSE_EVERY = 1 << 12  # comparisons, about two milliseconds


def go_sort(items: list[T], less: Callable[[T, T], bool], *, pulse: Pulse = unwatched) -> None:
    """Sort `items` in place, comparison by comparison as Go 1.5 did; `less` need not be transitive.

    `pulse` is called every 4,096 comparisons; what it raises ends the sort midway.
    """
    _Sort(items, less, pulse).quick(0, len(items), 2 * len(items).bit_length())


class _Sort(Generic[T]):
    def __init__(self, items: list[T], less: Callable[[T, T], bool], pulse: Pulse) -> None:
        self._items = items
        self._is_less = less
        self._pulse = pulse
        self._until_pulse = PULSE_EVERY

    def _less(self, i: int, j: int) -> bool:
        self._until_pulse -= 1
        if not self._until_pulse:
            self._until_pulse = PULSE_EVERY
            self._pulse()
        return self._is_less(self._items[i], self._items[j])

    def _swap(self, i: int, j: int) -> None:
        items = self._items
        items[i], items[j] = items[j], items[i]

    def quick(self, a: int, b: int, depth: int) -> None:
        """Sort items[a:b], by heap where `depth` levels of partitions were not enough."""
        while b - a > INSERTION:
            if not depth:
                self._heap(a, b)
                return
            depth -= 1
            low, high = self._partition(a, b)
            # The shorter part by recursion, so that the stack stays logarithmic.
            if low - a < b - high:
                self.quick(a, low, depth)
                a = high
            else:
                self.quick(high, b, depth)
                b = low
        self._insertion(a, b)

    def _insertion(self, a: int, b: int) -> None:
        for i in range(a + 1, b):
            j = i
            while j > a and self._less(j, j - 1):
                self._swap(j, j - 1)
                j -= 1

    def _median_to_first(self, first: int, second: int, third: int) -> None:
        if self._less(first, second):
            self._swap(first, second)
        if self._less(third, first):
            self._swap(third, first)
            if self._less(first, second):
                self._swap(first, second)

    def _partition(self, low: int, high: int) -> tuple[int, int]:
        """Split items[low:high] around a pivot; what equals it ends between the two indexes returned."""
        self._choose_pivot(low, high)
        a = b = low + 1
        c = d = high
        while True:
            while b < c:
                if self._less(b, low):
                    b += 1
                elif not self._less(low, b):
                    self._swap(a, b)
                    a, b = a + 1, b + 1
                else:
                    break
            while b < c:
                if self._less(low, c - 1):
                    c -= 1
                elif not self._less(c - 1, low):
                    self._swap(c - 1, d - 1)
                    c, d = c - 1, d - 1
                else:
                    break
            if b >= c:
                break
            self._swap(b, c - 1)
            b, c = b + 1, c - 1
        self._swap_range(low, b, min(b - a, a - low))
        self._swap_range(c, high, min(high - d, d - c))
        return low + b - a, high - (d - c)

    def _choose_pivot(self, low: int, high: int) -> None:
        middle = low + (high - low) // 2
        if high - low > NINTHER:
            step = (high - low) // 8
            self._median_to_first(low, low + step, low + 2 * step)
            self._median_to_first(middle, middle - step, middle + step)
            self._median_to_first(high - 1, high - 1 - step, high - 1 - 2 * step)
        self._median_to_first(low, middle, high - 1)

    def _swap_range(self, start: int, end: int, size: int) -> None:
        for i in range(size):
            self._swap(start + i, end - size + i)

    def _heap(self, a: int, b: int) -> None:
        size = b - a
        for i in range((size - 1) // 2, -1, -1):
            self._sift(i, size, a)
        for i in range(size - 1, -1, -1):
            self._swap(a, a + i)
            self._sift(0, i, a)

    def _sift(self, low: int, high: int, first: int) -> None:
        root = low
        while (child := 2 * root + 1) < high:
            if child + 1 < high and self._less(first + child, first + child + 1):
                child += 1
            if not self._less(first + root, first + child):
                return
            self._swap(first + root, first + child)
            root = child
