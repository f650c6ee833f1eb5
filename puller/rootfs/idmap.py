"""IdMap: owners inside an image to owners on this machine, by ranges, as /proc/PID/uid_map has them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from puller.errors import InvalidConfig, Unsupported

_RANGE: Final = re.compile(r"(\d{1,10}):(\d{1,10}):(\d{1,10})")
_LAST: Final = 2**32 - 2  # 2^32-1 is -1 to chown


@dataclass(frozen=True, slots=True)
class IdMap:
    """Ranges of (inside, outside, count) that do not overlap; none at all: every ID stands for itself."""

    ranges: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        for column in (0, 1):
            end = -1
            for span in sorted(self.ranges, key=lambda span: span[column]):
                if span[column] <= end or span[2] < 1 or span[column] + span[2] - 1 > _LAST:
                    raise InvalidConfig("ranges of IDs that overlap or go too far", got=span)
                end = span[column] + span[2] - 1

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """From `INSIDE:OUTSIDE:COUNT`, any number of them. Raises InvalidConfig."""
        ranges = []
        for text in texts:
            match = _RANGE.fullmatch(text)
            if match is None:
                raise InvalidConfig("no range of IDs", wanted="INSIDE:OUTSIDE:COUNT", got=text)
            ranges.append((int(match[1]), int(match[2]), int(match[3])))
        return cls(tuple(ranges))

    def __getitem__(self, inside: int) -> int:
        """The ID outside. Raises Unsupported for one that no range holds."""
        if not self.ranges:
            return inside
        for first, outside, count in self.ranges:
            if first <= inside < first + count:
                return outside + inside - first
        raise Unsupported("an owner outside the given map of IDs", got=inside)


SAME: Final = IdMap()
