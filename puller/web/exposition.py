"""Exposition: numbers as Prometheus reads them, text format 0.0.4. Pure.

https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
_IN_LABEL = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True)
class Sample:
    """One number, with what tells it from its like; `suffix` is for those of a summary: `_sum`, `_count`."""

    value: float
    labels: Mapping[str, str]
    suffix: Literal["", "_sum", "_count"] = ""


@dataclass(frozen=True, slots=True)
class Family:
    """Numbers of one name and meaning."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    meaning: str
    samples: tuple[Sample, ...]


def exposition(families: Iterable[Family]) -> str:
    """The whole text. A family without samples is left out. Raises ValueError for names that are none."""
    return "".join(f"{line}\n" for family in families if family.samples for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    if not _NAME.fullmatch(family.name):
        raise ValueError(f"no name of a metric: {family.name!r}")
    yield f"# HELP {family.name} {family.meaning.translate(_IN_HELP)}"
    yield f"# TYPE {family.name} {family.kind}"
    for sample in family.samples:
        yield f"{family.name}{sample.suffix}{_labels(sample.labels)} {_number(sample.value)}"


def _labels(labels: Mapping[str, str]) -> str:
    for name in labels:
        if not _LABEL.fullmatch(name):
            raise ValueError(f"no name of a label: {name!r}")
    pairs = [f'{name}="{_text(value)}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _text(value: str) -> str:
    # UTF-8 has no lone surrogates, which file names can bring.
    return value.encode("utf-8", "replace").decode().translate(_IN_LABEL)


def _number(value: float) -> str:
    """As Go's ParseFloat reads it; whole numbers without a point, however large."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
